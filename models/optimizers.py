"""Keras' optimizers by name, with weight decay and averaged weights."""

from collections.abc import Sequence
from typing import Any

import keras

from base import own_parts
from base.errors import UserError
from models import schedules
from models.adam import Adam, AdamW
from models.config import OptimizerConfig
from models.muon import ConvMuon

_OWN = {"adam": Adam, "adamw": AdamW, "conv_muon": ConvMuon}
_SIGNATURE = "(learning_rate) -> a Keras optimizer"
_NEVER_DECAYED = ("bias", "beta", "gamma", "position_embedding")


def build(
    config: OptimizerConfig,
    variables: Sequence[keras.Variable],
    steps_per_epoch: float,
    total_steps: int,
) -> keras.optimizers.Optimizer:
    """An optimizer for `variables`; not built yet, so that app may wrap it.

    Weight decay is decoupled (Loshchilov and Hutter 2019,
    https://arxiv.org/abs/1711.05101) and leaves out what `is_decayed` does. Averaged
    weights (`use_ema`) are the optimizer's variables, and the model's only after
    `finalize_variable_values`. `steps_per_epoch` need not be whole.

    Raises:
        UserError: A schedule that does not fit the training, or an optimizer of the
            user's own that is none.
    """
    schedule = schedules.build(config, steps_per_epoch, total_steps)
    if own_parts.is_reference(config.optimizer):
        return _own(config.optimizer, schedule)
    optimizer = optimizer_class(config.optimizer)(
        learning_rate=schedule,
        use_ema=config.ema is not None,
        ema_momentum=0.99 if config.ema is None else config.ema,
        **_own_arguments(config),
    )
    # AdamW knows no "none": it decays nothing if all variables are left out.
    optimizer.exclude_from_weight_decay(
        [v for v in variables if not (config.weight_decay and is_decayed(v))]
    )
    return optimizer


def _own(
    reference: str, schedule: keras.optimizers.schedules.LearningRateSchedule
) -> keras.optimizers.Optimizer:
    """What the user's function makes of the learning rate's schedule."""
    make = own_parts.load_callable("optimizer", reference)
    own_parts.require_takes("optimizer", reference, make, _SIGNATURE)
    optimizer = make(schedule)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise UserError(
            f"--optimizer={reference} gave a {type(optimizer).__name__}: expected a "
            "keras.optimizers.Optimizer"
        )
    if optimizer.built:
        raise UserError(
            f"--optimizer={reference} gave an optimizer that has variables already: "
            "expected a new one at each call"
        )
    kept = optimizer.get_config().get("learning_rate")
    if isinstance(kept, int | float):
        raise UserError(
            f"--optimizer={reference} keeps the rate {kept:g} and not the learning "
            "rate that it is given, a schedule by --learning_rate and --schedule: "
            "expected an optimizer with learning_rate=learning_rate"
        )
    return optimizer


def optimizer_class(name: str) -> type[keras.optimizers.Optimizer]:
    """The optimizer of this name: our own, or Keras', in small letters."""
    if name in _OWN:
        return _OWN[name]
    classes = {key.casefold(): value for key, value in vars(keras.optimizers).items()}
    return classes[name]


def is_decayed(variable: keras.Variable) -> bool:
    """Whether weight decay applies: to matrices and kernels, not to biases and norms.

    Biases of attention have two dimensions in Keras, so names count as well as shapes.
    """
    return len(variable.shape) > 1 and variable.name not in _NEVER_DECAYED


def _own_arguments(config: OptimizerConfig) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if config.weight_decay or config.optimizer == "adamw":
        arguments["weight_decay"] = config.weight_decay
    if config.optimizer in ("muon", "conv_muon"):
        # Keras' own default would decay what Muon leaves to AdamW by 0.004.
        arguments["adam_weight_decay"] = config.weight_decay
    if config.optimizer == "conv_muon":
        computed = keras.config.dtype_policy().compute_dtype
        # float16 is left out: its range is too narrow to be taken untried.
        product = computed if computed == "bfloat16" else "float32"
        arguments.update(momentum=config.momentum, product_dtype=product)
    if config.optimizer == "sgd":
        arguments.update(momentum=config.momentum, nesterov=config.nesterov)
    return arguments
