"""How a search goes: each field is a flag of the same name."""

import dataclasses
import math

from base.errors import UserError
from base.fields import flag, require

TUNERS = ("random", "grid", "bayesian", "hyperband", "asha", "grow")
SAMPLERS = ("tpe", "random")


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """Search"""

    tuner: str = flag(
        "asha",
        "random, grid, bayesian, hyperband: KerasTuner's. asha: asynchronous "
        "successive halving, which pauses trials and goes on with the best of them. "
        "grow: starts with the smallest model and lets it grow while that pays.",
        choices=TUNERS,
    )
    search: tuple[str, ...] = flag(
        (),
        "A flag to search and its values, as often as there are flags: "
        "batch_size=32|64, learning_rate=1e-4..1e-1:log, model_args.depth=2..8, "
        "with :step=2 for a grid in a range, and conditions: "
        "'momentum=0.8..0.99 if optimizer=sgd'.",
    )
    trials: int | None = flag(
        None,
        "Configurations to try, at most; may be raised when a search is resumed. "
        "grid, hyperband and grow end by themselves without it.",
        resumable=True,
    )
    objective: str = flag(
        "auto",
        "What is to be best: a metric of metrics.jsonl, with :min or :max where its "
        "direction is not known. auto is what tells the best epoch of the first "
        "trial's task: validation/accuracy for classes, validation/loss for values.",
    )
    min_epochs: float = flag(
        1.0,
        "asha: epochs after which a trial is compared with others first.",
        tuners=("asha",),
    )
    factor: int = flag(
        3,
        "asha, hyperband: of so many trials one goes on, for so many times as long.",
        tuners=("asha", "hyperband"),
    )
    sampler: str = flag(
        "tpe",
        "asha: how new configurations are drawn. tpe: Optuna's tree-structured Parzen "
        "estimator, near those that did well. random: evenly, as it was published.",
        choices=SAMPLERS,
        tuners=("asha",),
    )
    repeats: int = flag(
        3,
        "grow: seeds with which each size is trained, to know its noise.",
        tuners=("grow",),
    )
    confirm: int = flag(
        0,
        "Train the best again with this many new seeds, and choose by the mean.",
        resumable=True,
    )
    finalists: int = flag(3, "How many are confirmed.", resumable=True)
    keep: int = flag(
        3,
        "Best trials whose checkpoints are kept; the others keep their metrics.",
        resumable=True,
    )
    max_failures: int = flag(
        5, "Failed trials in a row that end the search.", resumable=True
    )

    def __post_init__(self) -> None:
        """Raises UserError for a value out of range, or that nothing would read."""
        for name in ("trials", "finalists", "keep", "max_failures"):
            self._require_at_least(1, name)
        self._require_at_least(2, "factor")
        self._require_at_least(2, "repeats")
        if self.confirm != 0:
            self._require_at_least(2, "confirm")
        epochs = self.min_epochs
        require(0 < epochs < math.inf, "min_epochs", epochs, "a number above 0")
        if self.trials is None and self.tuner in ("random", "bayesian", "asha"):
            raise UserError(
                f"--trials is missing: --tuner={self.tuner} goes on for ever without"
                " it; say how many configurations to try"
            )
        self._require_read()

    def _require_read(self) -> None:
        for field in dataclasses.fields(self):
            value, tuners = getattr(self, field.name), field.metadata.get("tuners")
            if tuners and value != field.default and self.tuner not in tuners:
                raise UserError(
                    f"--{field.name}={value} with --tuner={self.tuner}, which has no"
                    f" such setting: expected --tuner={' or '.join(tuners)}, or leave"
                    " it out"
                )
        if self.finalists != SearchConfig.finalists and not self.confirm:
            raise UserError(
                f"--finalists={self.finalists} without --confirm: expected --confirm=2"
                " or more seeds, with which they are trained again"
            )

    def _require_at_least(self, least: int, name: str) -> None:
        value = getattr(self, name)
        require(value is None or value >= least, name, value, f"{least} or more")
