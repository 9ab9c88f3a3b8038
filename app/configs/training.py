"""How long to train, when to look, and what to keep."""

import dataclasses
import math

from base.errors import UserError


@dataclasses.dataclass(frozen=True)
class Interval:
    """A distance between boundaries: `amount` epochs, steps or minutes."""

    amount: float
    unit: str

    @classmethod
    def parse(cls, flag: str, text: str) -> "Interval":
        """Reads `2`, `0.5` (epochs), `200s` (steps) or `5m` (minutes).

        Raises:
          UserError: the text is none of these.
        """
        unit = text[-1:] if text[-1:] in ("s", "m") else ""
        try:
            amount = float(text.removesuffix(unit))
        except ValueError:
            amount = math.nan
        whole_steps = unit != "s" or amount.is_integer()
        if not (math.isfinite(amount) and amount > 0 and whole_steps):
            raise UserError(
                f"--{flag}={text}: expected a positive number of epochs (1 or 0.5),"
                " whole steps (200s) or minutes (5m)"
            )
        return cls(amount, unit)


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The run folder"""

    run_dir: str | None = dataclasses.field(
        default=None,
        metadata={
            "help": "Folder of the run; one that exists is resumed.",
            "resumable": True,
        },
    )

    def __post_init__(self) -> None:
        if not self.run_dir:
            raise UserError("--run_dir is missing: name the folder of the run")


@dataclasses.dataclass(frozen=True)
class WeightsConfig:
    """Which weights"""

    checkpoint: str = dataclasses.field(
        default="best",
        metadata={
            "help": "Weights of the best evaluation, or the last ones.",
            "choices": ("best", "last"),
        },
    )


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What to evaluate on"""

    split: str = dataclasses.field(
        default="validation",
        metadata={
            "help": "Split of the run's own data: train, validation, or test, which is"
            " evaluated once; or a set of --validation_sets: validation_NAME.",
        },
    )
    dataset: str | None = dataclasses.field(
        default=None,
        metadata={
            "help": "Other data with the run's classes, all of which is evaluated;"
            " the run's results.json is left as it is."
        },
    )
    again: bool = dataclasses.field(
        default=False,
        metadata={"help": "Evaluate the test split though it has been seen."},
    )


@dataclasses.dataclass(frozen=True)
class PredictionConfig:
    """What to predict"""

    input: str | None = dataclasses.field(
        default=None,
        metadata={
            "help": "Files or folders of images, or files of rows (CSV, Parquet) for"
            " a run on a table; separated by commas."
        },
    )
    output: str | None = dataclasses.field(
        default=None, metadata={"help": "CSV file to write."}
    )
    top_k: int = dataclasses.field(
        default=1, metadata={"help": "Classes to name for each file, likeliest first."}
    )
    batch_size: int = dataclasses.field(
        default=64, metadata={"help": "Files in a batch."}
    )
    skip_unreadable: bool = dataclasses.field(
        default=False,
        metadata={"help": "Name files that cannot be read, and go on without them."},
    )

    def __post_init__(self) -> None:
        if not self.input:
            raise UserError("--input is missing: name images, or files of rows")
        if not self.output:
            raise UserError("--output is missing: name the CSV file to write")
        _require_positive("top_k", self.top_k)
        _require_positive("batch_size", self.batch_size)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Training"""

    epochs: float = dataclasses.field(
        default=10.0, metadata={"help": "Passes over the training split; 0.5 is half."}
    )
    stop_after: float | None = dataclasses.field(
        default=None,
        metadata={
            "help": "Pause after this many epochs, exit 75; the schedule stays that of"
            " --epochs, and the same command without the flag goes on.",
            "resumable": True,
        },
    )
    evaluate_every: float = dataclasses.field(
        default=1.0, metadata={"help": "Epochs between evaluations."}
    )
    early_stopping: int | None = dataclasses.field(
        default=None,
        metadata={"help": "Stop after this many evaluations without a better one."},
    )
    monitor: str = dataclasses.field(
        default="auto",
        metadata={
            "help": "Metric of the validation split that tells the best epoch, as"
            " metrics.jsonl names it, with or without `validation/`; auto is accuracy"
            " for classes (ties go to the lower loss), loss for values. Of a further"
            " validation set: `validation_NAME/accuracy`."
        },
    )
    checkpoint_every: str = dataclasses.field(
        default="1",
        metadata={
            "help": "Epochs between checkpoints; `200s` is steps, `5m` is minutes.",
            "resumable": True,
        },
    )
    keep_checkpoints: int = dataclasses.field(
        default=2,
        metadata={
            "help": "Newest checkpoints kept, beside the best.",
            "resumable": True,
        },
    )
    grace: float = dataclasses.field(
        default=20.0,
        metadata={
            "help": "Seconds between a signal (SIGTERM, SIGINT, SIGUSR1) and the"
            " boundary at which the run is saved, at most.",
            "resumable": True,
        },
    )
    precision: str = dataclasses.field(
        default="float32",
        metadata={
            "help": "Of activations; variables, statistics and losses stay float32."
            " auto measures what is fastest on this device, and the run keeps to it.",
            "choices": ("float32", "mixed_bfloat16", "mixed_float16", "auto"),
        },
    )
    threads: int | None = dataclasses.field(
        default=None,
        metadata={
            "help": "CPU threads of one operation. Weights repeat to the last bit with"
            " the same number only; by default there is one for each core."
        },
    )
    seed: int = dataclasses.field(
        default=0, metadata={"help": "Of weights, order, augmentation and dropout."}
    )
    eager: bool = dataclasses.field(
        default=False,
        metadata={"help": "Run step by step in Python, for debugging."},
    )
    log_norms: bool = dataclasses.field(
        default=False,
        metadata={
            "help": "Write the norms of each layer's weights and gradients to"
            " TensorBoard at every evaluation.",
            "resumable": True,
        },
    )
    figures: bool = dataclasses.field(
        default=True,
        metadata={
            "help": "Draw figures at the end of the training; without, python -m"
            " app.reporting.figures RUN_DIR draws them at any time.",
            "resumable": True,
        },
    )
    progress: str = dataclasses.field(
        default="auto",
        metadata={
            "help": "A bar on a terminal, plain lines elsewhere, or nothing.",
            "choices": ("auto", "bar", "lines", "quiet"),
            "resumable": True,
        },
    )

    def __post_init__(self) -> None:
        _require_positive("epochs", self.epochs)
        _require_positive("evaluate_every", self.evaluate_every)
        _require_positive("grace", self.grace)
        _require_positive("keep_checkpoints", self.keep_checkpoints)
        _require_positive("stop_after", self.stop_after)
        _require_positive("early_stopping", self.early_stopping)
        _require_positive("threads", self.threads)
        Interval.parse("checkpoint_every", self.checkpoint_every)
        if not 0 <= self.seed < 2**31:
            raise UserError(f"--seed={self.seed}: expected 0 to {2**31 - 1}")


def _require_positive(flag: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise UserError(f"--{flag}={value}: expected a number above 0")
