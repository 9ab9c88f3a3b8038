"""Layers of a transformer encoder: attention, block, and positions in an image."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.layers.activation import Activation
from models.layers.dense import Dense
from models.layers.layer_normalization import LayerNormalization

# In the epsilon and initial weights of Vaswani et al. 2017 and of its descendants.
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="atelier")
class SelfAttention(keras.layers.Layer):
    """Multi-head attention of a sequence to itself.

    One matrix product gives queries, keys and values, where Keras' MultiHeadAttention
    makes three. The softmax is in float32 whatever the precision.

    Source: Vaswani et al., Attention Is All You Need, 2017, section 3.2,
    https://arxiv.org/abs/1706.03762

    Attributes:
        heads: Number of heads; divides the inputs' width.
        dropout: Share of the attention weights set to 0 in training.
    """

    def __init__(self, heads: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.dropout = dropout

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Makes the projections for inputs of `input_shape`, [B, T, W]."""
        width, policy = input_shape[-1], self.dtype_policy
        self.projection = Dense(3 * width, dtype=policy, name="qkv")
        self.projection.build(input_shape)
        self.attention_dropout = keras.layers.Dropout(self.dropout, dtype=policy)
        self.output_projection = Dense(width, dtype=policy, name="output")
        self.output_projection.build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """From [B, T, W] to [B, T, W]."""
        _, tokens, width = inputs.shape
        features = width // self.heads
        qkv = tf.reshape(self.projection(inputs), [-1, tokens, 3, self.heads, features])
        query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))
        scores = tf.matmul(query * features**-0.5, key, transpose_b=True)
        weights = tf.nn.softmax(tf.cast(scores, tf.float32))
        weights = tf.cast(weights, value.dtype)
        weights = self.attention_dropout(weights, training=training)
        mixed = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])
        return self.output_projection(tf.reshape(mixed, [-1, tokens, width]))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {"heads": self.heads, "dropout": self.dropout}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="atelier")
class EncoderBlock(keras.layers.Layer):
    """Attention and a hidden layer, each normalized before and added to its inputs.

    Source: Dosovitskiy et al., An Image Is Worth 16x16 Words, 2021, equations 2 and 3,
    https://arxiv.org/abs/2010.11929

    Attributes:
        heads: Number of attention heads; divides the inputs' width.
        expansion: Width of the hidden layer, in widths of the inputs.
        activation: The hidden layer's activation.
        dropout: Share of the activations set to 0 in training.
    """

    def __init__(
        self,
        heads: int,
        expansion: int = 4,
        activation: str = "gelu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.expansion = expansion
        self.activation = activation
        self.dropout = dropout

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Makes the layers for inputs of `input_shape`, [B, T, W]."""
        width, policy = input_shape[-1], {"dtype": self.dtype_policy}
        layers = keras.layers
        self.norm1 = LayerNormalization(epsilon=_EPSILON, **policy, name="norm1")
        self.attention = SelfAttention(
            self.heads, self.dropout, **policy, name="attention"
        )
        self.norm2 = LayerNormalization(epsilon=_EPSILON, **policy, name="norm2")
        hidden = self.expansion * width
        self.hidden = Dense(hidden, **policy, name="hidden")
        self.hidden_activation = Activation(self.activation, **policy)
        self.output_layer = Dense(width, **policy, name="output")
        self.dropout1 = layers.Dropout(self.dropout, **policy, name="dropout1")
        self.dropout2 = layers.Dropout(self.dropout, **policy, name="dropout2")
        for layer in (self.norm1, self.attention, self.norm2, self.hidden):
            layer.build(input_shape)
        self.output_layer.build((*input_shape[:-1], hidden))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """From [B, T, W] to [B, T, W]."""
        attended = self.attention(
            self.norm1(inputs, training=training), training=training
        )
        x = inputs + self.dropout1(attended, training=training)
        hidden = self.hidden(self.norm2(x, training=training))
        projected = self.output_layer(self.hidden_activation(hidden, training=training))
        return x + self.dropout2(projected, training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {
            "heads": self.heads,
            "expansion": self.expansion,
            "activation": self.activation,
            "dropout": self.dropout,
        }
        return {**super().get_config(), **own}


def sincos_positions(rows: int, columns: int, width: int) -> np.ndarray:
    """Fixed embedding of the positions in a grid: float32 [rows * columns, width].

    A quarter of the features each are sines and cosines of the column and of the row,
    at frequencies from 1 to 1/10,000. Source: Chen et al., An Empirical Study of
    Training Self-Supervised Vision Transformers, 2021, https://arxiv.org/abs/2104.02057

    Args:
        rows: Rows of the grid, which is read row by row.
        columns: Columns of the grid.
        width: Number of features; a multiple of 4.
    """
    frequencies = 10000.0 ** -np.linspace(0.0, 1.0, width // 4)
    row, column = np.mgrid[:rows, :columns]
    angles = [position.reshape(-1, 1) * frequencies[None] for position in (column, row)]
    parts = [f(angle) for angle in angles for f in (np.sin, np.cos)]
    return np.concatenate(parts, axis=1).astype(np.float32)
