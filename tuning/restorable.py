"""KerasTuner's oracles as functions of a saved state, and spaces in its terms.

An oracle of KerasTuner writes many files in place, and some keep what decides their
next trial in memory alone. Here all of an oracle's state is one JSON value, to be saved
at once by whoever keeps it, and the same state leads to the same next trial.
"""

import contextlib
import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import keras_tuner

from tuning.keras_tuner_internals import OpenOracle, Trial
from tuning.space import Dimension, Space

RUNNING, IDLE, STOPPED = "RUNNING", "IDLE", "STOPPED"
COMPLETED, FAILED = "COMPLETED", "FAILED"
# What an oracle adds to the searched flags: KerasTuner's convention.
_OWN = "tuner/"

Answer = dict[str, Any]


class RestorableOracle(OpenOracle):
    """An oracle whose state is one JSON value.

    A trial that goes on with an earlier one is a new trial to KerasTuner, which names
    the earlier one in the value `tuner/trial_id`, and the epochs at which it is to be
    paused in `tuner/epochs`.

    Attributes:
      limit: configurations to try, at most; None where the oracle ends by itself.
    """

    limit: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The state, trials included."""
        trials = [trial.get_state() for trial in self.trials.values()]
        state = {"oracle": self.get_state(), "trials": trials}
        copied: dict[str, Any] = json.loads(json.dumps(state, default=_unwrapped))
        return copied

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what `to_json` gave."""
        state = copy.deepcopy(state)  # KerasTuner changes what it reads
        self.trials = {
            saved["trial_id"]: Trial.from_state(saved) for saved in state["trials"]
        }
        self.tuner_ids = set()
        self.set_state(state["oracle"])

    def save(self) -> None:
        """Nothing: the state is saved as a whole, by `to_json`."""

    def keep(self, trial: Trial) -> None:
        """Nothing: see `save`."""

    def populate_space(self, trial_id: str) -> Answer:
        """The next values, up to the limit."""
        if self.limit is not None and self.configurations() >= self.limit:
            return {"status": IDLE if self.ongoing_trials else STOPPED}
        answer: Answer = super().populate_space(trial_id)
        return answer

    def configurations(self) -> int:
        """How many configurations were tried: trials that go on with none before."""
        return sum(continues(trial) is None for trial in self.trials.values())

    def may_go_on(self) -> set[str]:
        """Trials that may be gone on with: their checkpoints are still needed."""
        return set()

    def winner(self) -> str | None:
        """The trial that the oracle holds for the best; None leaves it to the score."""
        return None

    def telling(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Trials are the same if the flags are, whatever the oracle noted beside."""
        return {k: v for k, v in values.items() if not k.startswith(_OWN)}

    def is_better(self, score: float, other: float) -> bool:
        """Whether a score is better than another."""
        return bool(self.objective.better_than(score, other))

    def best_first(self, trials: list[Trial]) -> list[Trial]:
        """Completed trials by score, older ones first where it is equal."""
        sign = -1.0 if self.objective.direction == "max" else 1.0
        return sorted(trials, key=lambda trial: sign * trial.score)


def continues(trial: Trial) -> str | None:
    """The trial that this one goes on with, if any."""
    earlier: str | None = trial.hyperparameters.values.get("tuner/trial_id")
    return earlier


def flags_of(space: Space, trial: Trial) -> dict[str, Any]:
    """The searched flags of a trial, those that its values do without left out."""
    values = trial.hyperparameters.values
    return {d.name: d.tidy(values[d.name]) for d in space if d.name in values}


def hyperparameters(space: Space) -> keras_tuner.HyperParameters:
    """The space in KerasTuner's terms."""
    found = keras_tuner.HyperParameters()
    for dimension in space:
        with _condition(found, space, dimension):
            _declare(found, dimension)
    return found


@contextlib.contextmanager
def _condition(
    found: keras_tuner.HyperParameters, space: Space, dimension: Dimension
) -> Iterator[None]:
    if dimension.parent is None:
        yield
        return
    labels = _labels(space[dimension.parent], dimension.parent_values)
    with found.conditional_scope(dimension.parent, labels):
        yield


def _declare(found: keras_tuner.HyperParameters, dimension: Dimension) -> None:
    if not dimension.is_range:
        if dimension.kind.type is bool and None not in dimension.values:
            found.Boolean(dimension.name, default=dimension.values[0])
        else:
            found.Choice(dimension.name, _labels(dimension, dimension.values))
        return
    declare = found.Int if dimension.kind.type is int else found.Float
    declare(
        dimension.name,
        min_value=dimension.low,
        max_value=dimension.high,
        step=dimension.step,
        sampling="log" if dimension.log else "linear",
    )


def _labels(dimension: Dimension, values: tuple[Any, ...]) -> list[Any]:
    """The choices as KerasTuner holds them: texts where one is `none`."""
    if None not in dimension.values:
        return list(values)
    return ["none" if value is None else str(value) for value in values]


def _unwrapped(value: Any) -> Any:
    """A number of NumPy's as Python's."""
    return value.item()
