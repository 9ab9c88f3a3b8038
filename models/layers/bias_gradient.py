"""TensorFlow's gradient of a bias, put right where it is wrong: bfloat16 on CPUs."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from models import tf_internals
from models.layers.devices import trains_on_cpus

_OPERATION = "BiasAdd"


def correct() -> None:
    """Registers the right gradient for this process, whatever layer adds a bias.

    TensorFlow's kernel adds bfloat16 up in bfloat16 on CPUs: once a sum is 256 times
    its terms it stands still, so the gradient may be a quarter of what it should be,
    without a word. Dense, EinsumDense, MultiHeadAttention, transposed, depthwise and
    separable convolutions come by it. A reduction adds up in float32, and is quicker.
    Other dtypes, and GPUs, go by TensorFlow's own.
    """
    tf_internals.replace_gradient(_OPERATION, _gradient)


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Within it `correct` may be called; afterwards the gradient is what it was."""
    before = tf_internals.registered_gradient(_OPERATION)
    try:
        yield
    finally:
        tf_internals.replace_gradient(_OPERATION, before)


_tensorflow_own = tf_internals.registered_gradient(_OPERATION)


def _gradient(operation: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of what the bias was added to, and of the bias."""
    if upstream.dtype != tf.bfloat16 or not trains_on_cpus(training=True):
        of_inputs, of_bias = _tensorflow_own(operation, upstream)
        return of_inputs, of_bias
    rank = upstream.shape.rank
    first = operation.get_attr("data_format") in (b"NCHW", "NCHW")  # None if not given
    channels = 1 if first else rank - 1
    others = [axis for axis in range(rank) if axis != channels]
    return upstream, tf.reduce_sum(upstream, others)
