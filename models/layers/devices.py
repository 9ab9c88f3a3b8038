"""Where a layer computes: what is faster on CPUs was measured there alone."""

import tensorflow as tf


def trains_on_cpus(training: bool | None) -> bool:
    """Whether a layer that is called so trains, and no GPU is there to do it."""
    return bool(training) and not tf.config.get_visible_devices("GPU")
