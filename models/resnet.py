"""Residual networks of CIFAR's and of ImageNet's kind, as functional models.

He et al., Deep Residual Learning for Image Recognition, 2016,
https://arxiv.org/abs/1512.03385.
"""

import dataclasses
from collections.abc import Callable

import keras

from models.architectures import ResNetConfig
from models.inputs import image_features, input_tensor, require_image
from models.layers.activation import Activation
from models.layers.batch_normalization import BatchNormalization
from models.layers.convolution import Conv2D
from models.layers.shortcut import IdentityShortcut
from models.outputs import apply_outputs
from models.spec import Inputs, Outputs

_LARGE_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
}
_BOTTLENECK_DEPTHS = (50, 101)


@dataclasses.dataclass(frozen=True)
class _Block:
    """One residual block: its name and what it does to channels and pixels."""

    name: str
    channels: int
    stride: int
    activation: str
    last_scale: str


def build(config: ResNetConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """A residual network; `config.depth` says of which kind.

    Small images (6n+2 layers): 3x3 stem, three stages, shortcuts without weights
    (section 4.2, option A). Large images: 7x7 stem, four stages, projections where
    channels change; in bottlenecks the stride is at the 3x3 convolution (v1.5). With
    `zero_init`, as in Goyal et al. 2017, https://arxiv.org/abs/1706.02677, the last
    scale of each block starts at 0.
    """
    require_image(f"resnet depth={config.depth}", inputs, 32 if config.is_large else 4)
    images = input_tensor(inputs)
    x = image_features(inputs, images)
    x = _large(x, config) if config.is_large else _small(x, config)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs_tensor = apply_outputs(x, outputs, config.dropout)
    return keras.Model(images, outputs_tensor, name=f"resnet{config.depth}")


def _small(x: keras.KerasTensor, config: ResNetConfig) -> keras.KerasTensor:
    width = config.width or 16
    x = _normalized_convolution(x, width, 3, 1, "stem")
    x = Activation(config.activation, name="stem_activation")(x)
    return _stages(x, config, width, ((config.depth - 2) // 6,) * 3, _small_block)


def _large(x: keras.KerasTensor, config: ResNetConfig) -> keras.KerasTensor:
    width = config.width or 64
    x = _normalized_convolution(x, width, 7, 2, "stem")
    x = Activation(config.activation, name="stem_activation")(x)
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    is_bottleneck = config.depth in _BOTTLENECK_DEPTHS
    residual = _bottleneck_block if is_bottleneck else _basic_block
    return _stages(x, config, width, _LARGE_BLOCKS[config.depth], residual)


def _stages(
    x: keras.KerasTensor,
    config: ResNetConfig,
    width: int,
    blocks: tuple[int, ...],
    residual: Callable[[keras.KerasTensor, _Block], keras.KerasTensor],
) -> keras.KerasTensor:
    """Stages of `blocks` blocks each; each after the first halves the image."""
    for stage, count in enumerate(blocks):
        for index in range(count):
            block = _Block(
                name=f"stage{stage + 1}_block{index + 1}",
                channels=width * 2**stage,
                stride=2 if stage and not index else 1,
                activation=config.activation,
                last_scale="zeros" if config.zero_init else "ones",
            )
            x = residual(x, block)
    return x


def _small_block(x: keras.KerasTensor, block: _Block) -> keras.KerasTensor:
    shortcut = x
    if block.stride != 1 or x.shape[-1] != block.channels:
        shortcut = IdentityShortcut(
            block.channels, block.stride, name=f"{block.name}_shortcut"
        )(x)
    return _sum(_two_convolutions(x, block), shortcut, block)


def _basic_block(x: keras.KerasTensor, block: _Block) -> keras.KerasTensor:
    shortcut = _projection(x, block, block.channels)
    return _sum(_two_convolutions(x, block), shortcut, block)


def _bottleneck_block(x: keras.KerasTensor, block: _Block) -> keras.KerasTensor:
    name, channels = block.name, block.channels
    shortcut = _projection(x, block, 4 * channels)
    x = _normalized_convolution(x, channels, 1, 1, f"{name}_conv1")
    x = Activation(block.activation, name=f"{name}_activation1")(x)
    x = _normalized_convolution(x, channels, 3, block.stride, f"{name}_conv2")
    x = Activation(block.activation, name=f"{name}_activation2")(x)
    x = _normalized_convolution(
        x, 4 * channels, 1, 1, f"{name}_conv3", block.last_scale
    )
    return _sum(x, shortcut, block)


def _two_convolutions(x: keras.KerasTensor, block: _Block) -> keras.KerasTensor:
    name, channels = block.name, block.channels
    x = _normalized_convolution(x, channels, 3, block.stride, f"{name}_conv1")
    x = Activation(block.activation, name=f"{name}_activation1")(x)
    return _normalized_convolution(x, channels, 3, 1, f"{name}_conv2", block.last_scale)


def _projection(
    x: keras.KerasTensor, block: _Block, channels: int
) -> keras.KerasTensor:
    """`x` itself where its shape is the block's output's, else a 1x1 convolution."""
    if block.stride == 1 and x.shape[-1] == channels:
        return x
    name = f"{block.name}_shortcut"
    return _normalized_convolution(x, channels, 1, block.stride, name)


def _sum(
    x: keras.KerasTensor, shortcut: keras.KerasTensor, block: _Block
) -> keras.KerasTensor:
    x = keras.layers.Add(name=f"{block.name}_sum")([x, shortcut])
    return Activation(block.activation, name=f"{block.name}_activation")(x)


def _normalized_convolution(
    x: keras.KerasTensor,
    channels: int,
    kernel: int,
    stride: int,
    name: str,
    scale: str = "ones",
) -> keras.KerasTensor:
    x = Conv2D(
        channels,
        kernel,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out"),
        name=name,
    )(x)
    return BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=scale, name=f"{name}_norm"
    )(x)
