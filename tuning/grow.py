"""An oracle that grows a model for as long as that pays.

It begins with the smallest model. Where other flags are searched too, they are drawn at
random for it, and the best draw is kept. Then each size that can grow (a layer more, or
wider) is tried by one step, and the best of them taken if its mean score over several
seeds is better by more than the standard error of the difference; if none is, the
search is over.
"""

import math
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from base.errors import UserError
from tuning.keras_tuner_internals import Trial
from tuning.restorable import (
    COMPLETED,
    IDLE,
    RUNNING,
    STOPPED,
    Answer,
    RestorableOracle,
)
from tuning.space import Dimension, Space

_SIZES = "model_args."
# Draws of the other flags: this share of the trials, or so many.
_DRAWN_SHARE = 1 / 3
_DRAWN = 8

Values = dict[str, Any]


class GrowOracle(RestorableOracle):
    """Growth in steps that pay, as a function of its trials.

    Args:
      space: what is searched.
      repeats: seeds with which each size is trained.
      **options: of KerasTuner's Oracle.
    """

    def __init__(self, *, space: Space, repeats: int, **options: Any) -> None:
        super().__init__(**options)
        self._repeats = repeats
        self._sizes = {d.name: _growing(d) for d in space if _can_grow(d)}
        self._draws_others = len(self._sizes) < len(space.dimensions)
        if not self._sizes:
            raise UserError(
                "--tuner=grow finds nothing that grows: expected a --search of a model"
                " argument with whole numbers, such as model_args.depth=1..8"
            )

    def populate_space(self, trial_id: str) -> Answer:
        """The next size to train, or the next seed of one."""
        del trial_id
        for stage in self._stages():
            for values in stage:
                if self.limit is not None and self.configurations() >= self.limit:
                    return {"status": IDLE if self.ongoing_trials else STOPPED}
                return {"status": RUNNING, "values": values}
            if self.ongoing_trials:
                return {"status": IDLE}
        return {"status": STOPPED}

    def winner(self) -> str | None:
        """The first training of the size that no step from was worth its cost."""
        state = self.draw_state
        for _ in self._stages():
            pass
        self.draw_state = state
        if self._kept is None:
            return None
        completed = [t for t in self._trained(self._kept) if t.status == COMPLETED]
        return completed[0].trial_id if completed else None

    _kept: Values | None = None

    def _stages(self) -> Iterator[list[Values]]:
        """What has to be trained before the next decision, stage by stage.

        A stage is empty once all of it was started; it is decided on when it has ended,
        which is when the next one is asked for.
        """
        self._kept = None
        yield self._missing_draws()
        drawn = self.best_first(
            [t for t in self.trials.values() if _is_draw(t) and t.status == COMPLETED]
        )
        if not drawn:
            return
        self._kept = _flags(drawn[0])
        yield self._missing([self._kept])
        while candidates := self._grown(self._kept):
            yield self._missing(candidates)
            best = max(candidates, key=self._gain)
            if self._gain(best) <= self._noise(best):
                return
            self._kept = best

    def _missing_draws(self) -> list[Values]:
        """A draw of the flags that do not grow, unless there are enough."""
        drawn = sum(_is_draw(trial) for trial in self.trials.values())
        wanted = 1
        if self._draws_others:
            wanted = max(2, int((self.limit or 3 * _DRAWN) * _DRAWN_SHARE))
        if drawn >= wanted:
            return []
        smallest = {name: sizes[0] for name, sizes in self._sizes.items()}
        for _ in range(self.most_draws):
            values = self.drawn_values() or {}
            values |= {name: v for name, v in smallest.items() if name in values}
            if values and not self.is_tried(values):
                own = {"tuner/stage": "draw", "tuner/repeat": 0}
                return [values | own]
        return []

    def _missing(self, configurations: list[Values]) -> list[Values]:
        """Trainings of these sizes that were not started yet."""
        found = []
        for values in configurations:
            started = {
                trial.hyperparameters.values["tuner/repeat"]
                for trial in self._trained(values)
            }
            for repeat in range(self._repeats):
                if repeat not in started:
                    own = {"tuner/stage": "grow", "tuner/repeat": repeat}
                    found.append(values | own)
        return found

    def _grown(self, values: Values) -> list[Values]:
        """One step further in each size that has one."""
        grown = []
        for name, sizes in self._sizes.items():
            if name in values and values[name] != sizes[-1]:
                following = sizes[sizes.index(values[name]) + 1]
                grown.append(values | {name: following})
        return grown

    def _trained(self, values: Values) -> list[Trial]:
        return [trial for trial in self.trials.values() if _flags(trial) == values]

    def _scores(self, values: Values) -> list[float]:
        trials = self._trained(values)
        return [t.score for t in trials if t.status == COMPLETED]

    def _gain(self, values: Values) -> float:
        """By how much the mean score is better than that of what is kept."""
        mine, kept = self._scores(values), self._scores(self._kept or {})
        if not mine or not kept:
            return -math.inf
        sign = 1.0 if self.objective.direction == "max" else -1.0
        return sign * (statistics.fmean(mine) - statistics.fmean(kept))

    def _noise(self, values: Values) -> float:
        """Standard error of that gain, by the variance pooled over all sizes."""
        groups: dict[str, list[float]] = {}
        for trial in self.trials.values():
            if trial.status == COMPLETED:
                groups.setdefault(repr(_flags(trial)), []).append(trial.score)
        repeated = [scores for scores in groups.values() if len(scores) > 1]
        freedom = sum(len(scores) - 1 for scores in repeated)
        mine, kept = self._scores(values), self._scores(self._kept or {})
        # A size without a score, still in training or failed, is worth no step.
        if not (freedom and mine and kept):
            return math.inf
        squares = sum(statistics.variance(s) * (len(s) - 1) for s in repeated)
        return math.sqrt(squares / freedom * (1 / len(mine) + 1 / len(kept)))


def _can_grow(dimension: Dimension) -> bool:
    return dimension.name.startswith(_SIZES) and dimension.kind.type is int


def _growing(dimension: Dimension) -> list[int]:
    """The sizes in rising order; a range with :log doubles."""
    listed = dimension.listed()
    if listed is not None:
        return sorted(listed)
    sizes = [int(dimension.low)]
    while sizes[-1] * 2 <= dimension.high:
        sizes.append(sizes[-1] * 2)
    return sizes


def _is_draw(trial: Trial) -> bool:
    return bool(trial.hyperparameters.values["tuner/stage"] == "draw")


def _flags(trial: Trial) -> Values:
    values: Mapping[str, Any] = trial.hyperparameters.values
    return {k: v for k, v in values.items() if not k.startswith("tuner/")}
