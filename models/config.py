"""What can be asked of this room: model, loss, optimizer and schedule.

Each field is a flag: its name is the flag's, its metadata the flag's help.
"""

import dataclasses
import math

from base import own_parts
from base.errors import UserError, unknown
from base.fields import flag, require
from models.tasks import names

TASKS = ("auto", *names.TASKS)
LOSSES = ("auto", *names.loss_names())
OPTIMIZERS = (
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "conv_muon",
    "ftrl",
    "lamb",
    "lion",
    "muon",
    "nadam",
    "rmsprop",
    "sgd",
)
TEST_TIME_AUGMENTATIONS = ("none", "flip", "flip_translate")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle", "triangular")
# The choices that read a setting; with any other it has to be left as it is.
_READ_BY = {
    "momentum": ("optimizer", ("sgd", "conv_muon")),
    "nesterov": ("optimizer", ("sgd",)),
    "decay_epochs": ("schedule", ("step", "exponential")),
    "decay_rate": ("schedule", ("step", "exponential")),
    "final_learning_rate": ("schedule", ("cosine", "one_cycle", "triangular")),
}
# What an optimizer of the user's own is not given.
_OF_OPTIMIZERS_HERE = ("momentum", "nesterov", "weight_decay", "ema")
# Side of the largest patch: its covariance has (49 * channels)^2 entries.
_LARGEST_PATCH = 7


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which model."""

    model: str = flag(
        "cnn",
        "Model: linear, mlp, cnn, branches, resnet, airbench, vit, pretrained, or "
        "package.module:function, a function of your own that takes (inputs, outputs, "
        "**arguments) and returns a keras.Model.",
    )
    model_args: str = flag(
        "", "The model's arguments, for example depth=20,width=16; README lists them."
    )
    test_time_augmentation: str = flag(
        "none",
        "For images: what the model answers, evaluated, saved and exported, is the "
        "average over two views of each (flip) or six (flip_translate).",
        choices=TEST_TIME_AUGMENTATIONS,
    )

    whitening: int = flag(
        0,
        "For images: airbench, branches, cnn and resnet begin with a frozen layer that "
        "whitens patches of so many pixels a side, learnt from the training split; "
        "airbench has 2. 0 is none.",
    )

    def __post_init__(self) -> None:
        require(
            0 <= self.whitening <= _LARGEST_PATCH,
            "whitening",
            self.whitening,
            f"0 to {_LARGEST_PATCH} pixels",
        )
        given, known = self.test_time_augmentation, TEST_TIME_AUGMENTATIONS
        if given not in known:
            raise unknown("test_time_augmentation", given, known)


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """What is learnt, minimised and measured."""

    loss: str = flag(
        "auto",
        "Loss; auto is cross_entropy for classes and mse for real targets. Regression "
        "losses are in units of the targets' standard deviation. Or "
        "package.module:function of your own: (labels, outputs) -> [B].",
        choices=LOSSES,
        own="function",
    )
    label_smoothing: float = flag(
        0.0, "Share of each label that is spread evenly over all classes, in [0, 1)."
    )
    metrics: str = flag(
        "",
        "Metrics of your own beside the task's, with commas: package.module:function "
        "gives a number for each example, (labels, outputs) -> [B], whose mean it is, "
        "with :max or :min behind it, whichever is better; or package.module:class.",
    )
    task: str = flag(
        "auto",
        "What is learnt; auto goes by the targets: classification for classes. Or "
        "package.module:class, a subclass of models.tasks.base.Task of your own.",
        choices=TASKS,
        own="class",
    )

    def __post_init__(self) -> None:
        own_parts.require_known("task", self.task, TASKS, "class")
        # A task of the user's own has losses of its own names.
        if ":" in self.loss or not own_parts.is_reference(self.task):
            own_parts.require_known("loss", self.loss, LOSSES, "function")
        self._check_metrics()
        smoothing = self.label_smoothing
        require(0 <= smoothing < 1, "label_smoothing", smoothing, "0 <= value < 1")
        # Whether a loss of its own has a smoothed form, the task says.
        if smoothing and own_parts.is_reference(self.loss):
            raise UserError(
                f"--label_smoothing={smoothing} with --loss={self.loss}, which gets "
                "labels as they are: leave one of them out"
            )

    def _check_metrics(self) -> None:
        known: set[str] = set()
        for item in filter(None, (part.strip() for part in self.metrics.split(","))):
            reference, _ = split_metric(item)
            name = reference.partition(":")[2]
            require(name not in known, "metrics", item, f"{name!r} once")
            known.add(name)


def split_metric(item: str) -> tuple[str, str]:
    """The reference of a metric of the user's own, and its direction or nothing.

    Args:
        item: Such as `mine:cost:min` or `mine:cost`.

    Raises:
        UserError: It is no such text.
    """
    module, _, rest = item.partition(":")
    name, colon, direction = rest.partition(":")
    reference = f"{module}:{name}"
    form = "package.module:name with :max or :min behind it, such as mine:cost:min"
    require(own_parts.is_reference(reference), "metrics", item, form)
    if colon and direction not in ("max", "min"):
        raise unknown(f"direction of --metrics={item}:", direction, ("max", "min"))
    return reference, direction


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How it is minimised."""

    optimizer: str = flag(
        "adamw",
        "Optimizer, any of Keras', or conv_muon: airbench's Muon for the kernels of "
        "convolutions, which Keras' muon leaves to AdamW. Or package.module:function "
        "of your own: (learning_rate) -> a Keras optimizer.",
        choices=OPTIMIZERS,
        own="function",
    )
    learning_rate: float = flag(1e-3, "Learning rate at the schedule's peak.")
    schedule: str = flag(
        "cosine", "How the learning rate changes over the training.", choices=SCHEDULES
    )
    warmup_epochs: float = flag(
        0.0, "Epochs over which the rate rises evenly from 0; fractions allowed."
    )
    decay_epochs: float | None = flag(
        None,
        "Schedules step and exponential: epochs in which the rate falls by "
        "--decay_rate; a third of the training if not given.",
    )
    decay_rate: float = flag(
        0.1, "Schedules step and exponential: factor by which the rate falls."
    )
    final_learning_rate: float = flag(
        0.0, "Schedules cosine, one_cycle and triangular: the rate at the end."
    )
    momentum: float = flag(
        0.9, "Momentum of sgd and conv_muon; the others keep Keras' own."
    )
    nesterov: bool = flag(False, "Nesterov's momentum, for sgd and nothing else.")
    weight_decay: float = flag(
        0.0,
        "Decoupled weight decay: each step takes learning rate times this share off "
        "the weights; biases, norm scales and other vectors are left out.",
    )
    clip_norm: float | None = flag(
        None, "Scales gradients down to this norm, taken over all of them together."
    )
    ema: float | None = flag(
        None,
        "Averages the weights over the steps with this momentum, for example 0.999, "
        "and evaluates the average.",
    )

    def __post_init__(self) -> None:
        own_parts.require_known("optimizer", self.optimizer, OPTIMIZERS, "function")
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        self._check_rates()
        self._check_regularisation()
        self._check_read()

    def _check_rates(self) -> None:
        for name in ("learning_rate", "decay_rate", "decay_epochs"):
            value = getattr(self, name)
            good = value is None or 0 < value < math.inf
            require(good, name, value, "a number > 0")
        for name in ("warmup_epochs", "final_learning_rate"):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, value, "a number >= 0")
        final, rate = self.final_learning_rate, self.learning_rate
        require(
            final <= rate,
            "final_learning_rate",
            final,
            f"at most --learning_rate={rate}",
        )
        if self.schedule == "one_cycle" and self.warmup_epochs:
            raise UserError(
                f"--warmup_epochs={self.warmup_epochs} with --schedule=one_cycle: "
                "one_cycle warms up by itself; leave --warmup_epochs out"
            )

    def _check_regularisation(self) -> None:
        require(0 <= self.momentum < 1, "momentum", self.momentum, "0 <= value < 1")
        decay = self.weight_decay
        require(0 <= decay < math.inf, "weight_decay", decay, "a number >= 0")
        clip, ema = self.clip_norm, self.ema
        require(clip is None or 0 < clip < math.inf, "clip_norm", clip, "a number > 0")
        require(ema is None or 0 < ema < 1, "ema", ema, "0 < value < 1")

    def _check_read(self) -> None:
        if own_parts.is_reference(self.optimizer):
            for name in _OF_OPTIMIZERS_HERE:
                value = getattr(self, name)
                if value != getattr(OptimizerConfig, name):
                    raise UserError(
                        f"--{name}={value} with --optimizer={self.optimizer}, which "
                        f"does not read it: leave --{name} out, and give it to the "
                        "optimizer in your function"
                    )
        for name, (choice, readers) in _READ_BY.items():
            value, chosen = getattr(self, name), getattr(self, choice)
            if value != getattr(OptimizerConfig, name) and chosen not in readers:
                raise UserError(
                    f"--{name}={value} with --{choice}={chosen}, which does not read "
                    f"it: expected --{choice}={' or '.join(readers)}, or "
                    f"--{name} left out"
                )
