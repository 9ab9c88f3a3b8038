"""Initial weights that Keras has not."""

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="atelier")
class PartialIdentity(keras.initializers.VarianceScaling):
    """Kernels of convolutions whose first filters pass their inputs on unchanged.

    Of n filters over m channels the first min(n, m) are the identity; the others are
    drawn uniformly with a variance of 1 / (3 * fan-in). As in airbench: Jordan 2024,
    94% on CIFAR-10 in 3.29 seconds on a single GPU, section 3.3,
    https://arxiv.org/abs/2404.00498.
    """

    def __init__(self, seed: Any = None) -> None:
        """`seed` is that of any initializer of Keras'."""
        super().__init__(1 / 3, "fan_in", "uniform", seed=seed)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Initial values of a kernel [*sides, channels, filters]."""
        *sides, channels, filters = shape
        passing = range(min(channels, filters))
        identity = np.zeros(shape, np.float32)
        centre = tuple(side // 2 for side in sides)
        identity[(*centre, passing, passing)] = 1.0
        is_drawn = np.arange(filters) >= len(passing)
        drawn = super().__call__(shape, dtype, **kwargs)
        return drawn * ops.cast(is_drawn, drawn.dtype) + ops.cast(identity, drawn.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"seed": super().get_config()["seed"]}
