"""Keras' Dense for sequences, as one product over all their elements."""

import keras
import tensorflow as tf

from models.layers.devices import trains_on_cpus


@keras.saving.register_keras_serializable(package="atelier")
class Dense(keras.layers.Dense):
    """Keras' Dense: its arguments, weights and saved form.

    In training on CPUs the inputs are rows of one matrix. TensorFlow adds the bias in
    the same operation then, which between reshapes it does not.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """From [..., C] to [..., units], in the layer's compute dtype."""
        if len(inputs.shape) == 2 or not trains_on_cpus(training):
            return super().call(inputs, training=training)
        rows = tf.reshape(inputs, [-1, inputs.shape[-1]])
        outputs = super().call(rows, training=training)
        shape = tf.concat([tf.shape(inputs)[:-1], [self.units]], 0)
        outputs = tf.reshape(outputs, shape)
        return tf.ensure_shape(outputs, [*inputs.shape[:-1], self.units])
