"""TensorFlow's private parts that models rely on; see `keras_internals`."""

from collections.abc import Callable
from typing import Any

from tensorflow.python.framework import ops

# From an operation and the gradients of its outputs to those of its inputs.
Gradient = Callable[..., Any]


def registered_gradient(operation: str) -> Gradient:
    """The gradient of the operations of this name.

    Relies on `ops.gradient_registry.lookup`.
    """
    found: Gradient = ops.gradient_registry.lookup(operation)
    return found


def replace_gradient(operation: str, gradient: Gradient) -> None:
    """Registers another one for this process, in graphs that are built from now on.

    Relies on `ops.gradient_registry._registry`, a dict with the function under "type".
    The public `tf.RegisterGradient` refuses an operation that has one.
    """
    ops.gradient_registry._registry[operation]["type"] = gradient
