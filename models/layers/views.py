"""Test-time augmentation: a model's outputs, averaged over views of each image."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="atelier")
class AveragedViews(keras.layers.Layer):
    """Averages a network's outputs over views of each image; in training, one view.

    `flip` averages an image and its mirror image. `flip_translate` gives these half
    of the weight, and the other half to both of them moved by one pixel up and left,
    and down and right, as airbench does (Jordan 2024, 94% on CIFAR-10 in 3.29 seconds
    on a single GPU, section 3.2, https://arxiv.org/abs/2404.00498). The views go
    through the network as one batch of two or six times the size.

    Attributes:
        network: From images [B, H, W, C] to outputs [B, K].
        views: `flip` or `flip_translate`.
    """

    def __init__(self, network: keras.Model, views: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.network = network
        self.views = views

    def build(self, input_shape: Any) -> None:
        """The network is built already; Keras wants to hear it."""
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        """From [B, H, W, C] to [B, K]; without views where `training` is true."""
        if training:
            return self.network(images, training=True)
        shares, views = self._views_of(images)
        outputs = self.network(ops.concatenate(views), training=False)
        parts = ops.split(outputs, len(views))
        return sum(share * part for share, part in zip(shares, parts, strict=True))

    def _views_of(self, images: Any) -> tuple[tuple[float, ...], list[Any]]:
        """Weights of the views, which add up to 1, and the views."""
        views = [images, ops.flip(images, axis=2)]
        if self.views == "flip":
            return (0.5, 0.5), views
        around = ops.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        for moved in (around[:, 2:, 2:], around[:, :-2, :-2]):
            views += [moved, ops.flip(moved, axis=2)]
        return (0.25, 0.25, 0.125, 0.125, 0.125, 0.125), views

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The network's own."""
        return self.network.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "views": self.views}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AveragedViews":
        """The layer of a configuration."""
        network = keras.saving.deserialize_keras_object(config.pop("network"))
        return cls(network, **config)
