"""The learning rate as a function of the step."""

from typing import Any

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from base.errors import UserError
from models.config import OptimizerConfig


def build(
    config: OptimizerConfig, steps_per_epoch: float, total_steps: int
) -> LearningRateSchedule:
    """The schedule that `config` names: a function from the step to the rate, float32.

    After the warm-up, constant stays; step falls by `decay_rate` at once each
    `decay_epochs`, exponential evenly; cosine falls to `final_learning_rate` at
    `total_steps` (Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983);
    triangular falls there evenly, so that with the warm-up it is a triangle.

    Args:
        config: What was asked for.
        steps_per_epoch: Steps in an epoch; need not be whole.
        total_steps: Steps of the whole training.

    Raises:
        UserError: The warm-up is not shorter than the training.
    """
    warmup_steps = round(config.warmup_epochs * steps_per_epoch)
    if warmup_steps and warmup_steps >= total_steps:
        raise UserError(
            f"--warmup_epochs={config.warmup_epochs:g} is {warmup_steps} of "
            f"{total_steps} steps: expected less than the whole training"
        )
    if config.schedule == "one_cycle":
        return OneCycle(config.learning_rate, total_steps, config.final_learning_rate)
    schedule = _after_warmup(config, steps_per_epoch, total_steps - warmup_steps)
    return Warmup(schedule, warmup_steps) if warmup_steps else schedule


def _after_warmup(
    config: OptimizerConfig, steps_per_epoch: float, steps: int
) -> LearningRateSchedule:
    rate = config.learning_rate
    if config.schedule == "constant":
        return Constant(rate)
    if config.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            rate, max(1, steps), alpha=config.final_learning_rate / rate
        )
    if config.schedule == "triangular":
        return keras.optimizers.schedules.PolynomialDecay(
            rate, max(1, steps), config.final_learning_rate, power=1.0
        )
    decay_steps = (
        steps / 3
        if config.decay_epochs is None
        else config.decay_epochs * steps_per_epoch
    )
    return keras.optimizers.schedules.ExponentialDecay(
        rate,
        max(1, round(decay_steps)),
        config.decay_rate,
        staircase=config.schedule == "step",
    )


@keras.saving.register_keras_serializable(package="atelier")
class Constant(LearningRateSchedule):
    """The same rate at every step."""

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate, float32 scalar."""
        return tf.constant(self.learning_rate, tf.float32)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"learning_rate": self.learning_rate}


@keras.saving.register_keras_serializable(package="atelier")
class Warmup(LearningRateSchedule):
    """Rises evenly to the first rate of `schedule`, which then begins at its step 0.

    Step t of the warm-up has the share (t + 1) / (warmup_steps + 1), so that no step is
    spent at 0. Source: Goyal et al. 2017, section 2.2, https://arxiv.org/abs/1706.02677
    """

    def __init__(self, schedule: LearningRateSchedule, warmup_steps: int) -> None:
        self.schedule = schedule
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`, float32 scalar."""
        since = tf.cast(step, tf.float32) - self.warmup_steps
        share = tf.minimum((since + self.warmup_steps + 1) / (self.warmup_steps + 1), 1)
        return tf.cast(self.schedule(tf.maximum(since, 0.0)), tf.float32) * share

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "warmup_steps": self.warmup_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Warmup":
        """The schedule that gave `config`."""
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["warmup_steps"])


@keras.saving.register_keras_serializable(package="atelier")
class OneCycle(LearningRateSchedule):
    """Up to `learning_rate` and down again in equal parts, then down to the end.

    The cycle takes 90 % of the steps, from a tenth of the rate and back to it; the rest
    falls evenly to `final_learning_rate`. Source: Smith, A disciplined approach to
    neural network hyper-parameters, 2018, section 4.2, https://arxiv.org/abs/1803.09820,
    without its cycle of the momentum.
    """

    _CYCLE = 0.9
    _START = 0.1

    def __init__(
        self, learning_rate: float, total_steps: int, final_learning_rate: float = 0.0
    ) -> None:
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.final_learning_rate = final_learning_rate

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`, float32 scalar."""
        progress = tf.cast(step, tf.float32) / max(1, self.total_steps)
        progress = tf.minimum(progress, 1.0)
        peak, start = self.learning_rate, self._START * self.learning_rate
        half = self._CYCLE / 2
        distance = tf.abs(progress - half) / half
        cycle = peak - (peak - start) * distance
        left = (1.0 - progress) / (1.0 - self._CYCLE)
        final = self.final_learning_rate
        tail = final + (start - final) * left
        return tf.where(progress <= self._CYCLE, cycle, tail)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "learning_rate": self.learning_rate,
            "total_steps": self.total_steps,
            "final_learning_rate": self.final_learning_rate,
        }
