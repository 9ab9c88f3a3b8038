"""Muon for the kernels of convolutions, which Keras' own leaves to AdamW."""

from typing import Any

import keras
from keras import ops

from models import keras_internals

# Of the learning rate: what AdamW takes for the variables that are no such kernels.
ADAM_SHARE = 0.05
_NEWTON_SCHULZ_STEPS = 3


@keras.saving.register_keras_serializable(package="atelier")
class ConvMuon(keras_internals.Muon):
    """Orthogonalized momentum for convolutions of a held norm, AdamW for the rest.

    A kernel [*sides, channels, filters] is a matrix with a column for each filter. At
    each step it is scaled to the Frobenius norm sqrt(filters), and learning rate times
    the orthogonalized Nesterov momentum is taken off: so the rate is about the share of
    a kernel that a step changes, whatever its shape. It takes for granted that
    normalization follows, to which the norm of a kernel makes no difference. All other
    variables go by AdamW at a twentieth of the rate.

    The products of the iteration, most of an update's operations, are computed in
    `product_dtype`, and the sums between them in the variables' own: bfloat16, which
    the source has for all of it, is as good, and faster where the device has it.

    Source: airbench94_muon, https://github.com/KellerJordan/cifar10-airbench (it has
    Nesterov's SGD for the rest), after Jordan et al. 2024, Muon: an optimizer for
    hidden layers in neural networks, https://kellerjordan.github.io/posts/muon/.
    """

    def __init__(
        self,
        learning_rate: Any = 0.24,
        momentum: float = 0.6,
        adam_lr_ratio: float = ADAM_SHARE,
        ns_steps: int = _NEWTON_SCHULZ_STEPS,
        product_dtype: str = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            adam_lr_ratio=adam_lr_ratio,
            ns_steps=ns_steps,
            **kwargs,
        )
        self.product_dtype = product_dtype

    def get_config(self) -> dict[str, Any]:
        """As Keras serializes it."""
        return {**super().get_config(), "product_dtype": self.product_dtype}

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """About the nearest orthogonal matrix, [rows, columns] as `x`."""
        tall = x.shape[0] > x.shape[1]
        if tall:
            x = ops.transpose(x)
        x = x / (ops.norm(x) + 1e-7)
        for _ in range(steps):
            square = self._product(x, ops.transpose(x))
            polynomial = self.muon_b * square
            polynomial += self.muon_c * self._product(square, square)
            x = self.muon_a * x + self._product(polynomial, x)
        return ops.transpose(x) if tall else x

    def _product(self, left: Any, right: Any) -> Any:
        factors = (ops.cast(factor, self.product_dtype) for factor in (left, right))
        return ops.cast(ops.matmul(*factors), left.dtype)

    def goes_by_adamw(self, variable: Any) -> bool:
        """Whether a variable is anything but a convolution's kernel."""
        shape = variable.shape
        return len(shape) != 4 or shape[-1] == 1 or variable.name != "kernel"

    def update_matrix(
        self, gradient: Any, variable: Any, rate: Any, momentum: Any
    ) -> None:
        """Updates a kernel by the orthogonalized momentum of its gradients."""
        self.assign(momentum, gradient + self.momentum * momentum)
        direction = momentum
        if self.nesterov:
            direction = gradient + self.momentum * momentum
        filters = variable.shape[-1]
        update = self.zeropower_via_newtonschulz5(
            ops.reshape(direction, (-1, filters)), self.ns_steps
        )
        weights = ops.reshape(variable, (-1, filters))
        held = weights * (filters**0.5 / (ops.norm(weights) + 1e-7))
        changed = held - ops.cast(rate, held.dtype) * update
        self.assign(variable, ops.reshape(changed, variable.shape))
