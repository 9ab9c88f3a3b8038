"""What is minimised: a loss of each example, so that padding can weigh nothing."""

from collections.abc import Callable

import tensorflow as tf

# From labels and a model's outputs to the loss of each example, float32 [B].
PerExampleLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
