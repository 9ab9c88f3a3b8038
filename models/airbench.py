"""The network of airbench, which learns CIFAR-10 in few operations."""

import keras

from models.architectures import AirbenchConfig
from models.initializers import PartialIdentity
from models.inputs import image_features, input_tensor, require_image
from models.layers.activation import Activation
from models.layers.batch_normalization import BatchNormalization
from models.layers.convolution import Conv2D
from models.outputs import apply_outputs
from models.spec import Inputs, Outputs

_GROUPS = 3
# airbench94's: logits begin small, and a step moves them less.
_LOGIT_SCALE = 1 / 9


def build(config: AirbenchConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """Three groups of two 3x3 convolutions, each pooled after the first of them.

    Pooling comes before normalization and activation, which so see a quarter of the
    pixels. Scales are left out of the normalization, and the largest value of each
    channel goes to the logits. Made for `--whitening=2`. The defaults are
    the widths of the source: Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single
    GPU, https://arxiv.org/abs/2404.00498, and
    https://github.com/KellerJordan/cifar10-airbench.
    """
    require_image("airbench", inputs, smallest=2**_GROUPS)
    images = input_tensor(inputs)
    x = image_features(inputs, images)
    channels = config.width
    for group in range(_GROUPS):
        if group == 1:
            channels *= config.growth
        x = _convolution(x, channels, config, f"group{group + 1}_conv1", pool=True)
        x = _convolution(x, channels, config, f"group{group + 1}_conv2", pool=False)
    x = keras.layers.GlobalMaxPooling2D(name="pool")(x)
    x = keras.layers.Rescaling(_LOGIT_SCALE, dtype="float32", name="scale")(x)
    return keras.Model(
        images, apply_outputs(x, outputs, config.dropout), name="airbench"
    )


def _convolution(
    x: keras.KerasTensor, channels: int, config: AirbenchConfig, name: str, pool: bool
) -> keras.KerasTensor:
    x = Conv2D(
        channels,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer=(PartialIdentity() if config.identity_init else "he_normal"),
        name=name,
    )(x)
    if pool:
        x = keras.layers.MaxPooling2D(name=f"{name}_pool")(x)
    x = BatchNormalization(
        momentum=config.norm_momentum, epsilon=1e-5, scale=False, name=f"{name}_norm"
    )(x)
    return Activation(config.activation, name=f"{name}_activation")(x)
