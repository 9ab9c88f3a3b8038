"""Keras' Adam and AdamW with large variables updated in one pass over memory.

Keras updates a variable by a dozen operations of TensorFlow, each of which reads and
writes it, its moments or something as large. The same arithmetic is one operation, too.
"""

from typing import Any

import keras
import tensorflow as tf

from models import keras_internals

# Elements. Below it the operation costs more than it saves.
_LARGE = 2**16


@keras.saving.register_keras_serializable(package="atelier")
class Adam(keras.optimizers.Adam):
    """Keras' Adam; after Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable and its moments by its gradient."""
        if not _updated_in_one_pass(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate)


@keras.saving.register_keras_serializable(package="atelier")
class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW: Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable, which has decayed, and its moments by its gradient."""
        if not _updated_in_one_pass(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate)


def _is_large(variable: Any) -> bool:
    """Whether the operation is faster; other processes' variables are left to Keras."""
    return (
        isinstance(variable, tf.Variable)
        and tf.DeviceSpec.from_string(variable.device).job in (None, "localhost")
        and variable.dtype == tf.float32
        and variable.shape.num_elements() >= _LARGE
    )


def _updated_in_one_pass(
    optimizer: keras.optimizers.Adam, gradient: Any, variable: Any, learning_rate: Any
) -> bool:
    """Updates the variable if it is large; whether it did."""
    if optimizer.amsgrad or not _is_large(variable):
        return False
    first, second = keras_internals.adam_moments(optimizer, variable)
    step = tf.cast(optimizer.iterations + 1, tf.float32)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=first.value.handle,
        v=second.value.handle,
        beta1_power=tf.pow(optimizer.beta_1, step),
        beta2_power=tf.pow(optimizer.beta_2, step),
        lr=tf.cast(learning_rate, tf.float32),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=tf.convert_to_tensor(gradient),
    )
    return True
