"""A plain convolutional network, from 8x8 pixels up, as a functional model."""

import keras

from models.architectures import CNNConfig
from models.inputs import input_tensor, preprocessing, require_image
from models.layers.batch_normalization import BatchNormalization
from models.outputs import apply_outputs
from models.spec import Inputs, Outputs


def build(config: CNNConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """Blocks of two 3x3 convolutions, each halving the image and doubling channels.

    In the manner of VGG (Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556),
    with batch normalization, and global average pooling in place of its dense layers.
    """
    require_image("cnn", inputs, smallest=2 ** (config.depth - 1))
    images = input_tensor(inputs)
    x = preprocessing(inputs)(images)
    for block in range(config.depth):
        if block:
            x = keras.layers.MaxPooling2D(name=f"block{block + 1}_pool")(x)
        for index in (1, 2):
            name = f"block{block + 1}_conv{index}"
            x = _convolution(x, config.width * 2**block, config.activation, name)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, apply_outputs(x, outputs, config.dropout), name="cnn")


def _convolution(
    x: keras.KerasTensor, channels: int, activation: str, name: str
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        channels,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return keras.layers.Activation(activation, name=f"{name}_activation")(x)
