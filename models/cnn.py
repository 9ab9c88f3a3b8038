"""A plain convolutional network, from 8x8 pixels up, as a functional model."""

import keras

from models.architectures import BranchesConfig, CNNConfig
from models.initializers import PartialIdentity
from models.inputs import image_features, input_tensor, require_image
from models.layers.activation import Activation
from models.layers.batch_normalization import BatchNormalization
from models.layers.convolution import Conv2D
from models.outputs import apply_outputs
from models.spec import Inputs, Outputs


def build(config: CNNConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """Blocks of two 3x3 convolutions, each halving the image and doubling channels.

    In the manner of VGG (Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556),
    with batch normalization, and global average pooling in place of its dense layers.
    """
    require_image("cnn", inputs, smallest=2 ** (config.depth - 1))
    images = input_tensor(inputs)
    x = tower(image_features(inputs, images), config)
    return keras.Model(images, apply_outputs(x, outputs, config.dropout), name="cnn")


def tower(
    x: keras.KerasTensor, config: CNNConfig | BranchesConfig, prefix: str = ""
) -> keras.KerasTensor:
    """The network without its last layer: from pixels [B, H, W, C] to features [B, F].

    Args:
      x: the rescaled pixels, or whitened patches.
      config: its depth, width and activation.
      prefix: of the layers' names.
    """
    for block in range(config.depth):
        stage = f"{prefix}block{block + 1}"
        if block:
            x = keras.layers.MaxPooling2D(name=f"{stage}_pool")(x)
        for index in (1, 2):
            channels = config.width * 2**block
            x = _convolution(x, channels, config, f"{stage}_conv{index}")
    return keras.layers.GlobalAveragePooling2D(name=f"{prefix}pool")(x)


def _convolution(
    x: keras.KerasTensor, channels: int, config: CNNConfig | BranchesConfig, name: str
) -> keras.KerasTensor:
    x = Conv2D(
        channels,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer=PartialIdentity() if config.identity_init else "he_normal",
        name=name,
    )(x)
    x = BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return Activation(config.activation, name=f"{name}_activation")(x)
