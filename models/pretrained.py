"""A network of keras.applications, its own preprocessing, and a new last layer."""

import inspect
import pathlib
import re
import socket
import warnings
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf

from base.errors import UserError
from models.architectures import PretrainedConfig
from models.inputs import input_tensor, require_image
from models.outputs import apply_outputs
from models.spec import Inputs, Outputs

_DOWNLOAD_TIMEOUT = 30.0  # seconds without a byte
_CACHE = "the folder models/ of $KERAS_HOME (~/.keras if unset)"


def build(config: PretrainedConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """The backbone's averaged features and a new last layer, as a functional model.

    With `trainable=head` the backbone is frozen and runs as in inference: its batch
    normalization keeps its averages and its dropout is off.

    Raises:
        UserError: No colour or grey images, images too small for the backbone, or
            weights that cannot be had or do not fit.
    """
    require_image("pretrained", inputs)
    channels = inputs.shape[-1]
    if channels not in (1, 3):
        raise UserError(
            f"model pretrained received images of {channels} channels: expected 1 or 3"
        )
    backbone = _backbone(config, inputs)
    images = input_tensor(inputs)
    x = BackbonePreprocessing(config.backbone, dtype="float32", name="preprocessing")(
        images
    )
    if config.trainable == "head":
        backbone.trainable = False
        x = backbone(x, training=False)
    else:
        x = backbone(x)
    predictions = apply_outputs(x, outputs, config.dropout)
    return keras.Model(images, predictions, name="pretrained")


@keras.saving.register_keras_serializable(package="atelier")
class BackbonePreprocessing(keras.layers.Layer):
    """The `preprocess_input` that belongs to a network of keras.applications.

    Attributes:
        backbone: The network's name in keras.applications.
    """

    def __init__(self, backbone: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """From pixels [B, H, W, 1 or 3] to the backbone's own inputs [B, H, W, 3]."""
        if inputs.shape[-1] == 1:
            inputs = tf.repeat(inputs, 3, axis=-1)
        return _application_module(self.backbone).preprocess_input(inputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "backbone": self.backbone}


def _application_module(backbone: str) -> ModuleType:
    """The module in which keras.applications keeps a network and its preprocessing."""
    module = inspect.getmodule(getattr(keras.applications, backbone))
    assert module is not None
    return module


def _backbone(config: PretrainedConfig, inputs: Inputs) -> keras.Model:
    shape = (*inputs.shape[:2], 3)
    if config.weights == "imagenet":
        return _with_imagenet_weights(config.backbone, shape)
    backbone = _without_weights(config.backbone, shape)
    if config.weights != "none":
        _load_weights(backbone, config)
    return backbone


def _without_weights(name: str, shape: tuple[int, ...]) -> keras.Model:
    network = getattr(keras.applications, name)
    try:
        return network(
            include_top=False, weights=None, input_shape=shape, pooling="avg"
        )
    except ValueError as error:
        height, width, _ = shape
        raise UserError(
            f"model pretrained backbone={name} does not take images of "
            f"{height}x{width} pixels ({_line(error)}); enlarge them with --image_size"
        ) from error


def _with_imagenet_weights(name: str, shape: tuple[int, ...]) -> keras.Model:
    _without_weights(name, shape)  # refuses a shape before anything is downloaded
    network = getattr(keras.applications, name)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        return network(
            include_top=False, weights="imagenet", input_shape=shape, pooling="avg"
        )
    except Exception as error:  # what get_file raises for a failed download
        address = re.search(r"https?://\S+?(?=[:\s]*(\s|$))", str(error))
        file = address[0] if address else f"the weights of {name} without its top"
        reason = str(error).rpartition(" -- ")[2]
        raise UserError(
            f"model pretrained weights=imagenet: could not be downloaded ({reason}); "
            f"download {file} elsewhere, and put it into {_CACHE} or "
            "give its path: --model_args=weights=PATH"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def _load_weights(backbone: keras.Model, config: PretrainedConfig) -> None:
    path = pathlib.Path(config.weights)
    if not path.is_file():
        raise UserError(
            f"model pretrained weights={path}: no such file; expected a file of "
            "weights, imagenet or none"
        )
    try:
        with warnings.catch_warnings():  # one for each layer, before the error for all
            warnings.simplefilter("ignore")
            backbone.load_weights(str(path))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(
            f"model pretrained weights={path}: not the weights of {config.backbone} "
            f"without its top ({_line(error)}); expected what keras.applications."
            f"{config.backbone}(include_top=False).save_weights(PATH) writes"
        ) from error


def _line(error: Exception) -> str:
    """The first sentence of `error`, on one line and not long."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"{text[:157]}..."
