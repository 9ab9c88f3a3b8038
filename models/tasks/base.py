"""The interface of a task: what a model owes, and everything that follows from it.

A task has no state, knows one replica and no flags. The rooms around it ask it rather
than its name: a new task is a new file here, and a line in `registry`.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from base import own_parts
from base.errors import UserError, did_you_mean
from models.config import LossConfig
from models.losses import PerExampleLoss, own_loss
from models.metrics import Metric
from models.spec import Outputs

Answers = dict[str, tf.Tensor]


class AnswerSpec(NamedTuple):
    """One answer of a batch: its dtype's name, and its shape after the batch."""

    dtype: str
    shape: tuple[int, ...] = ()


class Difference(NamedTuple):
    """How far each answer is from the one expected.

    Attributes:
        rows: float64 [n]; infinite for an answer that makes no sense.
        reason: What differs, for the message.
    """

    rows: np.ndarray
    reason: str


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """What a model with these outputs learns.

    A subclass gives the class attributes and the abstract methods; `classification` is
    the one to read. Labels are a batch of the target feature: see `targets`.

    Attributes:
        outputs: What a model owes: float32 [B, outputs.size].
        targets: Names of the target features that it learns; the first is what an
            example of that kind is learnt by if nothing else is said.
        losses: By name, functions that make a loss of `outputs`; the first is `auto`.
        monitor: The metric that tells the best epoch if nothing else is said.
        headline: The metric that a reader looks for first.
        quality: The metric of answers, as `score` measures it, that quantization may
            cost; by its direction.
        smooths_labels: Whether `--label_smoothing` means something.
        calibrates: Whether its probabilities are a softmax over classes, which a
            temperature can calibrate.
        outputs_are: What its outputs are to people who read their names.
        owes_logits: Whether probabilities at a model's end are a mistake.
        tunes: Whether answers choose something by the validation split: see `tuned`.
    """

    outputs: Outputs
    name: ClassVar[str]
    targets: ClassVar[tuple[str, ...]]
    losses: ClassVar[Mapping[str, Callable[[Outputs], PerExampleLoss]]]
    monitor: ClassVar[str] = "loss"
    headline: ClassVar[str] = "loss"
    quality: ClassVar[Metric]
    smooths_labels: ClassVar[bool] = False
    calibrates: ClassVar[bool] = False
    outputs_are: ClassVar[str] = "outputs"
    owes_logits: ClassVar[bool] = False
    tunes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raises UserError where so many outputs make no such task."""
        self.check_outputs()

    def check_outputs(self) -> None:
        """Raises UserError where so many outputs make no such task."""
        if self.outputs.size < 1:
            raise UserError(
                f"{self.name} with {self.outputs.size} outputs: expected at least 1"
            )

    @abc.abstractmethod
    def head(self) -> list[Any]:
        """Keras layers from features [B, F] to the outputs.

        They compute in float32 whatever the precision of the model: a softmax over
        rounded logits, or a rounded prediction, would be the first thing to suffer.
        """

    def loss(self, config: LossConfig) -> PerExampleLoss:
        """The loss that is asked for, of each example: float32 [B].

        So padding can weigh nothing, and weights mean something.

        Raises:
            UserError: A loss that does not fit the task.
        """
        if own_parts.is_reference(config.loss):
            return own_loss(config.loss)
        name = self.loss_name(config)
        if not config.label_smoothing:
            return self.losses[name](self.outputs)
        return self.smoothed_loss(name, config.label_smoothing)

    def smoothed_loss(self, name: str, smoothing: float) -> PerExampleLoss:
        """The loss `name` of labels of which a share is spread over all classes.

        Raises:
            UserError: It has no such form; where `smooths_labels` is set, some has.
        """
        raise UserError(
            f"--label_smoothing={smoothing} with --loss={name}, which takes labels as "
            "they are: leave one of them out"
        )

    def loss_name(self, config: LossConfig) -> str:
        """The loss's name, with auto decided.

        Raises:
            UserError: A loss that does not fit the task.
        """
        if config.label_smoothing and not self.smooths_labels:
            raise UserError(
                f"--label_smoothing={config.label_smoothing} for {self.name}: expected "
                "classes; leave it out"
            )
        if config.loss == "auto":
            return next(iter(self.losses))
        if config.loss not in self.losses:
            raise UserError(
                f"--loss={config.loss} for {self.name}"
                f"{did_you_mean(config.loss, self.losses)}: expected "
                f"{' or '.join(self.losses)}, or auto"
            )
        return config.loss

    @property
    @abc.abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """Every figure of the task, `LOSS` first."""

    @property
    @abc.abstractmethod
    def sum_names(self) -> tuple[str, ...]:
        """Names of what `sums` gives, beside `examples`, `weight` and `loss`."""

    @property
    def sum_sizes(self) -> Mapping[str, int]:
        """The lengths of those sums that are vectors; the others are scalars."""
        return {}

    @abc.abstractmethod
    def sums(
        self, labels: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A batch's sums by name: float64, to be added up over batches.

        Args:
            labels: Of the batch.
            outputs: Of the model, float32 [B, size].
            weights: float32 [B]: above 0 for an example, 0 for padding, whose other
                values may be anything, NaN included; see `models.metrics.total`.
        """

    @abc.abstractmethod
    def results(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """The figures, but for the loss, from the sums over all batches."""

    @property
    @abc.abstractmethod
    def answer_specs(self) -> dict[str, AnswerSpec]:
        """What is told of an example, by name."""

    @abc.abstractmethod
    def answers(self, outputs: tf.Tensor, temperature: float = 1.0) -> Answers:
        """What is told of a batch of outputs, by graph code that an export holds."""

    @abc.abstractmethod
    def expected_answers(
        self, outputs: np.ndarray, temperature: float = 1.0
    ) -> dict[str, np.ndarray]:
        """The same by NumPy, by no line of `answers`: what the gate compares with."""

    @abc.abstractmethod
    def difference(
        self,
        expected: Mapping[str, np.ndarray],
        found: Mapping[str, np.ndarray],
        tolerance: float,
    ) -> Difference:
        """How far the answers `found` are from those expected.

        An answer that contradicts itself, such as a label that is not the likeliest by
        more than `tolerance`, is infinitely far.
        """

    @abc.abstractmethod
    def score(self, answers: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
        """The metric `quality` of answers, for what quantization costs."""

    @abc.abstractmethod
    def baseline(self, labels: np.ndarray) -> np.ndarray:
        """The best outputs that do not look at the input: float32 [size].

        Args:
            labels: Of the training split.
        """

    @abc.abstractmethod
    def expected_loss(self) -> float | None:
        """The loss of a network that has learnt nothing yet; None if it depends."""

    def tuned(self, outputs: np.ndarray, labels: np.ndarray) -> "Task":
        """The task with what its answers choose by examples, where it `tunes`.

        Args:
            outputs: float32 [n, size] of the model, for examples not trained on.
            labels: [n, …] as the target feature has them.
        """
        del outputs, labels
        return self

    def named_answers(self) -> dict[str, str]:
        """Answers that an export adds as names: {name: the answer with the index}."""
        return {}
