"""Decoded examples that are held in memory as tensors, for compiled code."""

from typing import Any

import tensorflow as tf


def hold(examples: Any) -> Any:
    """Eager tensors of arrays [n, …]: a graph captures them and embeds no copy."""
    return tf.nest.map_structure(tf.constant, examples)


def gather(examples: Any, chosen: tf.Tensor, count: int) -> Any:
    """The examples at `chosen` [count] of what `hold` made: [count, …]."""
    return tf.nest.map_structure(
        lambda part: tf.ensure_shape(tf.gather(part, chosen), [count, *part.shape[1:]]),
        examples,
    )
