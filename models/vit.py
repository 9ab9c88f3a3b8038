"""A vision transformer, as a subclassed model."""

import dataclasses
from typing import Any, Self

import keras
import tensorflow as tf

from base.errors import UserError
from models.architectures import ViTConfig
from models.inputs import preprocessing, require_image
from models.layers.layer_normalization import LayerNormalization
from models.layers.transformer import EncoderBlock, sincos_positions
from models.outputs import output_layers
from models.spec import Inputs, Outputs


def build(config: ViTConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """A vision transformer for images whose sides `config.patch` divides."""
    require_image("vit", inputs, config.patch)
    height, width, _ = inputs.shape
    if height % config.patch or width % config.patch:
        raise UserError(
            f"model vit received images of {height}x{width} pixels with "
            f"patch={config.patch}: expected patch to divide both; set "
            "--model_args=patch=N or --image_size"
        )
    model = VisionTransformer(config, inputs, outputs, name="vit")
    model.build((None, *inputs.shape))
    return model


@keras.saving.register_keras_serializable(package="atelier")
class VisionTransformer(keras.Model):
    """Patches of an image, encoded, then averaged.

    Dosovitskiy et al., An Image Is Worth 16x16 Words, 2021,
    https://arxiv.org/abs/2010.11929, with the average of all patches in place of a
    class token, as Beyer et al., Better plain ViT baselines, 2022,
    https://arxiv.org/abs/2205.01580.
    """

    def __init__(
        self, config: ViTConfig, inputs: Inputs, outputs: Outputs, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.inputs_spec = inputs
        self.outputs_spec = outputs
        policy = self.dtype_policy
        self.preprocessing = preprocessing(inputs)
        self.patches = keras.layers.Conv2D(
            config.width, config.patch, config.patch, dtype=policy, name="patches"
        )
        self.position = PositionEmbedding(
            config.positions, dtype=policy, name="position"
        )
        self.dropout = keras.layers.Dropout(
            config.dropout, dtype=policy, name="dropout"
        )
        self.blocks = [self._block(index) for index in range(config.depth)]
        self.norm = LayerNormalization(epsilon=1e-6, dtype=policy, name="norm")
        self.output_layers = output_layers(outputs)

    def _block(self, index: int) -> EncoderBlock:
        config = self.config
        return EncoderBlock(
            config.heads,
            config.expansion,
            config.activation,
            config.dropout,
            dtype=self.dtype_policy,
            name=f"block{index + 1}",
        )

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Makes the weights for images of `input_shape`, [B, H, W, C]."""
        self.patches.build(input_shape)
        grid = self.patches.compute_output_shape(input_shape)
        self.position.build(grid)
        sequence = (grid[0], grid[1] * grid[2], grid[3])
        for block in self.blocks:
            block.build(sequence)
        self.norm.build(sequence)
        self.output_layers[0].build((grid[0], grid[3]))
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """From raw images [B, H, W, C] to outputs, float32 [B, size]."""
        x = self.position(self.patches(self.preprocessing(inputs)))
        x = self.dropout(x, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        x = tf.reduce_mean(self.norm(x, training=training), axis=1)
        for layer in self.output_layers:
            x = layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs: plain values only."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "config": dataclasses.asdict(self.config),
            "inputs": dataclasses.asdict(self.inputs_spec),
            "outputs": dataclasses.asdict(self.outputs_spec),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The model, without its weights, that gave `config`."""
        config = dict(config)
        policy = config.pop("dtype")
        return cls(
            ViTConfig(**config.pop("config")),
            Inputs(**_with_tuples(config.pop("inputs"))),
            Outputs(**_with_tuples(config.pop("outputs"))),
            dtype=keras.dtype_policies.get(policy),
            **config,
        )


@keras.saving.register_keras_serializable(package="atelier")
class PositionEmbedding(keras.layers.Layer):
    """Adds to each patch of a grid what says where it is; flattens the grid.

    Attributes:
        kind: "sincos" (fixed) or "learnt".
    """

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Makes the embedding for a grid of `input_shape`, [B, rows, columns, W]."""
        _, rows, columns, width = input_shape
        if self.kind == "sincos":
            self.embedding = sincos_positions(rows, columns, width)
        else:
            self.embedding = self.add_weight(
                name="position_embedding",
                shape=(rows * columns, width),
                initializer=keras.initializers.RandomNormal(stddev=0.02),
            )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """From [B, rows, columns, W] to [B, rows * columns, W]."""
        _, rows, columns, width = inputs.shape
        patches = tf.reshape(inputs, [-1, rows * columns, width])
        return patches + tf.cast(self.embedding, patches.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "kind": self.kind}


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """`values` as JSON gives them back, with its lists as tuples again."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
    }
