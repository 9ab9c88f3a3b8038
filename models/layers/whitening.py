"""A frozen first layer that decorrelates the pixels of patches."""

from typing import Any

import keras
import numpy as np
from keras import ops

from models.layers.activation import activate
from models.spec import Patches

# Of the mean variance: what is added to each one, so that directions in which patches
# hardly vary, and which hold noise, are not blown up.
_EPSILON = 5e-4


@keras.saving.register_keras_serializable(package="atelier")
class Whitening(keras.layers.Layer):
    """Coordinates of each patch along the training patches' principal directions.

    A convolution with two filters for each direction, one the other's negative, scaled
    to a variance of 1; then a bias and an activation. The filters follow from the
    training split and are frozen; the bias is trained. It takes raw pixels, so it
    stands in place of their rescaling. As in airbench: Jordan 2024, 94% on CIFAR-10 in
    3.29 seconds on a single GPU, section 3.2, https://arxiv.org/abs/2404.00498, after
    Page 2019, https://myrtle.ai/learn/how-to-train-your-resnet-8-bag-of-tricks/.

    Attributes:
        size: Side of a patch, in pixels.
        activation: Keras activation.
    """

    def __init__(
        self,
        size: int,
        activation: str = "gelu",
        patches: Patches | None = None,
        **kwargs: Any,
    ) -> None:
        """Takes what the patches are like; None where weights are loaded instead."""
        super().__init__(**kwargs)
        self.size = size
        self.activation = activation
        self._patches = patches

    def build(self, input_shape: Any) -> None:
        """Makes the filters [size, size, C, 2 * size * size * C], and the bias."""
        shape = (self.size, self.size, input_shape[-1])
        width = 2 * int(np.prod(shape))
        kernel, bias = np.zeros((*shape, width)), np.zeros(width)
        if self._patches is not None:
            filters = whitening_filters(self._patches)
            kernel = filters.reshape(kernel.shape)
            bias = -np.asarray(self._patches.mean) @ filters
        self.kernel = self.add_weight(
            shape=kernel.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(kernel, dtype),
            trainable=False,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=bias.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(bias, dtype),
            name="bias",
        )

    def call(self, images: Any, training: bool | None = None) -> Any:
        """From [B, H, W, C] to [B, H - size + 1, W - size + 1, 2 * size * size * C]."""
        whitened = ops.conv(images, self.kernel, padding="valid")
        function = keras.activations.get(self.activation)
        return activate(function, whitened + self.bias, training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As `call` has it."""
        batch, height, width, channels = input_shape
        less = self.size - 1
        features = 2 * self.size**2 * channels
        return (batch, height and height - less, width and width - less, features)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, but for what the weights hold."""
        own = {"size": self.size, "activation": self.activation}
        return {**super().get_config(), **own}


def whitening_filters(patches: Patches) -> np.ndarray:
    """Filters by column, float64 [d, 2d], from patches of d values.

    Each is an eigenvector of the covariance over the square root of its eigenvalue;
    its sign is such that the largest component is positive, so that it is a function
    of the patches alone. The negatives follow.
    """
    covariance = np.asarray(patches.covariance, np.float64)
    variances, directions = np.linalg.eigh(covariance)
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(len(largest))])
    floor = _EPSILON * max(np.trace(covariance) / len(covariance), 1e-12)
    scaled = directions / np.sqrt(np.maximum(variances, 0) + floor)
    return np.concatenate([scaled, -scaled], axis=1)
