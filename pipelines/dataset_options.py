"""Streams of tf.data without the thread that tunes them."""

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """`dataset`, whose AUTOTUNE is a call for each core, up to 16, and never changes.

    That thread looks at its work ever less often, at last once a minute. An iterator
    that ends waits for it, and once in some twenty-five times TensorFlow 2.21 does not
    wake it: an evaluation of a minute then took half a minute more to end, idle.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
