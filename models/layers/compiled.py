"""Chains of small operations as one pass over memory, where XLA computes them faster.

TensorFlow's operations each read and write all of their tensors; on CPUs that is most
of the time of a gelu or a layer normalization. XLA makes one loop of such a chain. For
convolutions and large products it is slower than oneDNN, so only these are given to it,
and only in training on CPUs, where they were measured: what is exported, evaluated, or
run on a GPU is computed by TensorFlow's operations.
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import tensorflow as tf

from models.layers.devices import trains_on_cpus

_TYPES = (tf.float32, tf.bfloat16, tf.float16)


def pays(inputs: tf.Tensor, training: bool | None) -> bool:
    """Whether a layer's operations should be compiled."""
    return trains_on_cpus(training) and inputs.dtype in _TYPES


def run(
    function: Callable[..., Any], *tensors: tf.Tensor, **constants: Hashable
) -> Any:
    """`function` of the tensors and the constants.

    It is compiled once for the shapes, dtypes and constants that it meets, however many
    layers call it.
    """
    specs = tuple(tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors)
    return _compiled(function, specs, tuple(constants.items()))(*tensors)


@functools.lru_cache(maxsize=256)
def _compiled(
    function: Callable[..., Any],
    specs: tuple[tf.TensorSpec, ...],
    constants: tuple[tuple[str, Hashable], ...],
) -> Callable[..., Any]:
    fixed = functools.partial(function, **dict(constants))
    with tf.init_scope():  # it outlives the graph that calls it first
        compiled = tf.function(fixed, jit_compile=True, autograph=False)
        return compiled.get_concrete_function(*specs)
