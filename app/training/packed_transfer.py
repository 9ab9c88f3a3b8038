"""Values of many variables in one message from each parameter server, and back.

Each tensor that passes between two processes is a remote call of its own, whatever its
size, and a model has dozens of variables, most of them small.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def read(variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    """The values of the variables, joined where they are and divided here."""

    def of_group(members: Sequence[int], device: str) -> list[tf.Tensor]:
        values = []
        with tf.device(device):
            for i in members:
                value = tf.convert_to_tensor(variables[i].value)
                values.append(tf.reshape(value, [-1]))
            joined = tf.concat(values, axis=0)
        return _divided(joined, [variables[i] for i in members])

    return _by_group(variables, of_group, lambda i: tf.convert_to_tensor(variables[i]))


def send(
    tensors: Sequence[tf.Tensor], variables: Sequence[keras.Variable]
) -> list[tf.Tensor]:
    """The tensors, each of its variable's shape, joined here and divided there."""

    def of_group(members: Sequence[int], device: str) -> list[tf.Tensor]:
        flat = [tf.reshape(tensors[i], [-1]) for i in members]
        joined = tf.concat(flat, axis=0)
        with tf.device(device):
            return _divided(joined, [variables[i] for i in members])

    return _by_group(variables, of_group, lambda i: tensors[i])


def _by_group(
    variables: Sequence[keras.Variable],
    of_group: Callable[[Sequence[int], str], list[tf.Tensor]],
    of_one: Callable[[int], tf.Tensor],
) -> list[tf.Tensor]:
    """What `of_group` gives for the variables of each device and type, in their order.

    A variable that is divided among devices has none, and is left to `of_one`.
    """
    groups: dict[tuple[str, Any], list[int]] = {}
    found: dict[int, tf.Tensor] = {}
    for i, variable in enumerate(variables):
        device = getattr(variable.value, "device", None)
        if device:
            groups.setdefault((device, variable.dtype), []).append(i)
        else:
            found[i] = of_one(i)
    for (device, _), members in groups.items():
        found |= dict(zip(members, of_group(members, device), strict=True))
    return [found[i] for i in range(len(variables))]


def _divided(joined: tf.Tensor, variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    shapes = [tuple(variable.shape) for variable in variables]
    sizes = [tf.TensorShape(shape).num_elements() for shape in shapes]
    parts = tf.split(joined, sizes)
    return [tf.reshape(p, shape) for p, shape in zip(parts, shapes, strict=True)]
