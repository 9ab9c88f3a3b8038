"""How long to train, when to look, and what to keep."""

import dataclasses
import math

from base import own_parts
from base.errors import UserError
from base.fields import flag, require

ALGORITHMS = ("auto",)


@dataclasses.dataclass(frozen=True)
class Interval:
    """A distance between boundaries: `amount` epochs, steps or minutes.

    Its text is what `parse` reads: a flag has an interval as its value.
    """

    amount: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{repr(float(self.amount)).removesuffix('.0')}{self.unit}"

    @classmethod
    def parse(cls, name: str, text: str) -> "Interval":
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
        require(
            0 < amount < math.inf and whole_steps,
            name,
            text,
            "a positive number of epochs (1 or 0.5), whole steps (200s) or minutes"
            " (5m)",
        )
        return cls(amount, unit)


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The run folder"""

    run_dir: str | None = flag(
        None, "Folder of the run; one that exists is resumed.", resumable=True
    )

    def __post_init__(self) -> None:
        if not self.run_dir:
            raise UserError("--run_dir is missing: name the folder of the run")


@dataclasses.dataclass(frozen=True)
class WeightsConfig:
    """Which weights"""

    checkpoint: str = flag(
        "best",
        "Weights of the best evaluation, or the last ones.",
        choices=("best", "last"),
    )


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What to evaluate on"""

    split: str = flag(
        "validation",
        "Split of the run's own data: train, validation, or test, which is"
        " evaluated once; or a set of --validation_sets: validation_NAME.",
    )
    dataset: str | None = flag(
        None,
        "Other data with the run's classes, all of which is evaluated;"
        " the run's results.json is left as it is.",
    )
    again: bool = flag(False, "Evaluate the test split though it has been seen.")


@dataclasses.dataclass(frozen=True)
class PredictionConfig:
    """What to predict"""

    input: str | None = flag(
        None,
        "Files or folders of images, or files of rows (CSV, Parquet) for"
        " a run on a table; separated by commas.",
    )
    output: str | None = flag(None, "CSV file to write.")
    top_k: int = flag(1, "Classes to name for each file, likeliest first.")
    batch_size: int = flag(64, "Files in a batch.")
    skip_unreadable: bool = flag(
        False, "Name files that cannot be read, and go on without them."
    )

    def __post_init__(self) -> None:
        if not self.input:
            raise UserError("--input is missing: name images, or files of rows")
        if not self.output:
            raise UserError("--output is missing: name the CSV file to write")
        for name in ("top_k", "batch_size"):
            value = getattr(self, name)
            require(value > 0, name, value, "a number above 0")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Training"""

    epochs: float = flag(10.0, "Passes over the training split; 0.5 is half.")
    stop_after: float | None = flag(
        None,
        "Pause after this many epochs, exit 75; the schedule stays that of"
        " --epochs, and the same command without the flag goes on.",
        resumable=True,
    )
    evaluate_every: Interval = flag(
        Interval(1),
        "Epochs between evaluations; `200s` is steps, `5m` is minutes, by which the"
        " same command evaluates at other steps when it is given again.",
    )
    early_stopping: int | None = flag(
        None, "Stop after this many evaluations without a better one."
    )
    monitor: str = flag(
        "auto",
        "Metric of the validation split that tells the best epoch, as"
        " metrics.jsonl names it, with or without `validation/`; auto is accuracy"
        " for classes (ties go to the lower loss), loss for values. Of a further"
        " validation set: `validation_NAME/accuracy`.",
    )
    checkpoint_every: Interval = flag(
        Interval(1),
        "Epochs between checkpoints; `200s` is steps, `5m` is minutes.",
        resumable=True,
    )
    keep_checkpoints: int = flag(
        2, "Newest checkpoints kept, beside the best.", resumable=True
    )
    grace: float = flag(
        20.0,
        "Seconds between a signal (SIGTERM, SIGINT, SIGUSR1) and the"
        " boundary at which the run is saved, at most.",
        resumable=True,
    )
    precision: str = flag(
        "float32",
        "Of activations; variables, statistics and losses stay float32."
        " auto measures what is fastest on this device, and the run keeps to it.",
        choices=("float32", "mixed_bfloat16", "mixed_float16", "auto"),
    )
    threads: int | None = flag(
        None,
        "CPU threads of one operation. Weights repeat to the last bit with"
        " the same number only; by default there is one for each core.",
    )
    seed: int = flag(0, "Of weights, order, augmentation and dropout.")
    eager: bool = flag(False, "Run step by step in Python, for debugging.")
    log_norms: bool = flag(
        False,
        "Write the norms of each layer's weights and gradients to"
        " TensorBoard at every evaluation.",
        resumable=True,
    )
    figures: bool = flag(
        True,
        "Draw figures at the end of the training; without, python -m"
        " app.reporting.figures RUN_DIR draws them at any time.",
        resumable=True,
    )
    progress: str = flag(
        "auto",
        "A bar on a terminal, plain lines elsewhere, or nothing.",
        choices=("auto", "bar", "lines", "quiet"),
        resumable=True,
    )

    algorithm: str = flag(
        "auto",
        "How a step learns: auto, one optimizer and one loss; or package.module:class"
        " of your own, (model, loss, make_optimizer), with players that each have a"
        " loss.",
        choices=ALGORITHMS,
        own="class",
    )

    def __post_init__(self) -> None:
        own_parts.require_known("algorithm", self.algorithm, ALGORITHMS, "class")
        for name in (
            *("epochs", "grace", "keep_checkpoints"),
            *("stop_after", "early_stopping", "threads"),
        ):
            value = getattr(self, name)
            holds = value is None or 0 < value < math.inf
            require(holds, name, value, "a number above 0")
        require(0 <= self.seed < 2**31, "seed", self.seed, f"0 to {2**31 - 1}")
