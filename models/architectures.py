"""The arguments of each model in the registry: what `--model_args` can say.

Kept apart from the models, so that a mistake is found before TensorFlow is imported.
"""

import dataclasses
import math
import re
from typing import Any

from base.errors import UserError
from base.fields import flag as argument

ACTIVATIONS = (
    "celu",
    "elu",
    "gelu",
    "leaky_relu",
    "linear",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
)
BACKBONES = (
    *("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge"),
    *("ConvNeXtXLarge", "DenseNet121", "DenseNet169", "DenseNet201"),
    *(f"EfficientNetB{size}" for size in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *("InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2"),
    *("MobileNetV3Large", "MobileNetV3Small", "NASNetLarge", "NASNetMobile"),
    *("ResNet50", "ResNet101", "ResNet152"),
    *("ResNet50V2", "ResNet101V2", "ResNet152V2", "VGG16", "VGG19", "Xception"),
)
RESNET_LARGE_DEPTHS = (18, 34, 50, 101)
_DEVICE = r"(?:cpu|gpu|tpu):\d+"
_DEVICES = re.compile(rf"{_DEVICE}(?:\+{_DEVICE})*")
_BY_DEPTH = "its layers divided among them by depth"


def _dropout() -> Any:
    return argument(0.0, "Share of the activations set to 0 in training, in [0, 1).")


def _activation(default: str) -> Any:
    return argument(default, "Keras activation.", choices=ACTIVATIONS)


def _devices(how: str) -> Any:
    return argument(
        None,
        f"Trains on several devices, {how}: such as gpu:0+gpu:1; README says when it"
        " pays.",
    )


def _check(model: str, config: Any) -> None:
    """Refuses what makes no sense: dropout, a number of layers or units, devices."""
    values = dataclasses.asdict(config)
    devices = values.get("devices")
    if devices is not None and not _DEVICES.fullmatch(devices):
        raise UserError(
            f"{model} argument devices={devices}: expected names such as cpu:0 or"
            " gpu:1, with a + between them"
        )
    dropout = values.get("dropout", 0.0)
    if not 0 <= dropout < 1:
        raise UserError(f"{model} argument dropout={dropout}: expected 0 <= value < 1")
    for name, value in values.items():
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise UserError(f"{model} argument {name}={value}: expected at least 1")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{model} argument {name}={value}: expected a number")


@dataclasses.dataclass(frozen=True)
class LinearConfig:
    """One linear map of the inputs: softmax regression, or linear regression."""

    dropout: float = _dropout()

    def __post_init__(self) -> None:
        _check("linear", self)


@dataclasses.dataclass(frozen=True)
class MLPConfig:
    """Fully connected layers, all of one width."""

    depth: int = argument(2, "Hidden layers.")
    width: int = argument(128, "Units of each hidden layer.")
    activation: str = _activation("relu")
    dropout: float = _dropout()
    batch_normalization: bool = argument(False, "Normalizes before each activation.")
    devices: str | None = _devices(_BY_DEPTH)

    def __post_init__(self) -> None:
        _check("mlp", self)


def _identity_init(default: bool) -> Any:
    return argument(
        default, "Starts convolutions as the identity, as far as channels allow."
    )


@dataclasses.dataclass(frozen=True)
class AirbenchConfig:
    """Three groups of two convolutions: CIFAR-10 in few operations."""

    width: int = argument(64, "Channels of the first group.")
    growth: int = argument(4, "The other groups' channels, in widths.")
    activation: str = _activation("gelu")
    dropout: float = _dropout()
    identity_init: bool = _identity_init(True)
    norm_momentum: float = argument(
        0.6, "Share that a step leaves of batch normalization's moving averages."
    )

    def __post_init__(self) -> None:
        _check("airbench", self)
        if not 0 <= self.norm_momentum < 1:
            raise UserError(
                f"airbench argument norm_momentum={self.norm_momentum}: expected "
                "0 <= value < 1"
            )


@dataclasses.dataclass(frozen=True)
class CNNConfig:
    """Blocks of two convolutions with batch normalization, pooled in between."""

    depth: int = argument(3, "Blocks; each after the first halves height and width.")
    width: int = argument(32, "Channels of the first block; doubled with each block.")
    activation: str = _activation("relu")
    dropout: float = _dropout()
    devices: str | None = _devices(_BY_DEPTH)
    identity_init: bool = _identity_init(False)

    def __post_init__(self) -> None:
        _check("cnn", self)


@dataclasses.dataclass(frozen=True)
class BranchesConfig:
    """Towers of convolutions side by side, whose features are taken together."""

    branches: int = argument(2, "Towers; each sees the whole image.")
    depth: int = argument(3, "Blocks of each tower, as those of cnn.")
    width: int = argument(16, "Channels of a tower's first block; doubled with each.")
    activation: str = _activation("relu")
    dropout: float = _dropout()
    devices: str | None = _devices("its towers in turn")
    identity_init: bool = _identity_init(False)

    def __post_init__(self) -> None:
        _check("branches", self)


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """Residual network: of CIFAR's kind for small images, of ImageNet's for large."""

    depth: int = argument(
        20,
        "Layers with weights: 6n+2 (8, 14, 20, 32, 44, 56, 110) for small images; "
        "18, 34, 50 or 101 for images of 64 pixels and more.",
    )
    width: int | None = argument(
        None,
        "Channels of the first stage, doubled with each stage; 16 for small images "
        "and 64 for large ones if not given.",
    )
    activation: str = _activation("relu")
    dropout: float = _dropout()
    zero_init: bool = argument(
        True, "Starts every residual block as the identity: its last scale is 0."
    )
    devices: str | None = _devices(_BY_DEPTH)

    def __post_init__(self) -> None:
        _check("resnet", self)
        if not self.is_large and (self.depth < 8 or self.depth % 6 != 2):
            raise UserError(
                f"resnet argument depth={self.depth}: expected 6n+2 (8, 14, 20, 32, "
                "44, 56, 110) for small images, or 18, 34, 50, 101 for large ones"
            )

    @property
    def is_large(self) -> bool:
        """Whether this is a network of ImageNet's kind."""
        return self.depth in RESNET_LARGE_DEPTHS


@dataclasses.dataclass(frozen=True)
class ViTConfig:
    """Vision transformer: encoder blocks over the patches of an image."""

    depth: int = argument(6, "Encoder blocks.")
    width: int = argument(192, "Features of each patch.")
    heads: int = argument(3, "Attention heads; has to divide width.")
    patch: int = argument(4, "Pixels along the side of a patch; has to divide images.")
    expansion: int = argument(4, "Width of a block's hidden layer, in widths.")
    activation: str = _activation("gelu")
    dropout: float = _dropout()
    positions: str = argument(
        "sincos",
        "Position embedding: fixed sines and cosines, or learnt.",
        choices=("sincos", "learnt"),
    )
    devices: str | None = _devices(_BY_DEPTH)

    def __post_init__(self) -> None:
        _check("vit", self)
        if self.width % self.heads:
            raise UserError(
                f"vit arguments width={self.width}, heads={self.heads}: expected heads "
                "to divide width"
            )
        if self.positions == "sincos" and self.width % 4:
            raise UserError(
                f"vit argument width={self.width} with positions=sincos: expected a "
                "multiple of 4"
            )


@dataclasses.dataclass(frozen=True)
class PretrainedConfig:
    """A network of keras.applications with a new last layer."""

    backbone: str = argument(
        "ResNet50", "Network of keras.applications.", choices=BACKBONES
    )
    weights: str = argument(
        "imagenet",
        "imagenet (downloaded once), none, or the path of the backbone's weights "
        "without its last layer (.h5 or .weights.h5).",
    )
    trainable: str = argument(
        "head",
        "Trains the new last layer alone, or all layers.",
        choices=("head", "all"),
    )
    dropout: float = _dropout()

    def __post_init__(self) -> None:
        _check("pretrained", self)
        files = (".h5", ".hdf5")
        if self.weights not in ("imagenet", "none") and not self.weights.endswith(
            files
        ):
            raise UserError(
                f"pretrained argument weights={self.weights}: expected imagenet, none, "
                "or the path of an .h5 or .weights.h5 file"
            )
