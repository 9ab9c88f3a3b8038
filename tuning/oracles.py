"""The oracles by name: KerasTuner's own, made restorable, beside asha and grow.

Each subclass here says what KerasTuner's would lose or get wrong without it.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras_tuner

from base.errors import UserError
from tuning.asha import AshaOracle
from tuning.config import SearchConfig
from tuning.grow import GrowOracle
from tuning.keras_tuner_internals import OpenBayesian, OpenGrid, OpenHyperband
from tuning.objective import Objective
from tuning.restorable import (
    COMPLETED,
    FAILED,
    RUNNING,
    Answer,
    RestorableOracle,
    hyperparameters,
)
from tuning.space import Space

# Everything is searched that is declared, and failures are counted by the search.
_NO_LIMIT = 2**31


class RandomOracle(RestorableOracle, keras_tuner.oracles.RandomSearchOracle):
    """KerasTuner's random search."""


class GridOracle(RestorableOracle, OpenGrid):
    """KerasTuner's grid search; its own saves neither its order nor its queue."""

    def get_state(self) -> dict[str, Any]:
        """The state, with the place in the grid."""
        return super().get_state() | self.grid_place()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `get_state` gave."""
        super().set_state(state)
        self.return_to(state)


class BayesianOracle(RestorableOracle, OpenBayesian):
    """KerasTuner's Bayesian optimization.

    Its own keeps a random state in memory, guesses the scores of running trials by the
    model of an earlier call, and may propose what was tried already.
    """

    def populate_space(self, trial_id: str) -> Answer:
        """The next values, as a function of the saved state."""
        self.draw_from([self.seed, len(self.trials)])
        if self.ongoing_trials:
            self._fit_to_completed()
        answer = super().populate_space(trial_id)
        if answer["status"] == RUNNING and self.is_tried(answer["values"]):
            answer = self.random_answer()
        return answer

    def _fit_to_completed(self) -> None:
        """A model by which to guess what the running trials will give."""
        ongoing, self.ongoing_trials = self.ongoing_trials, {}
        running = [t for t in self.trials.values() if t.status == RUNNING]
        try:
            for trial in running:
                trial.status = FAILED  # which KerasTuner leaves out
            x, y = self.tried_points()
        finally:
            for trial in running:
                trial.status = RUNNING
            self.ongoing_trials = ongoing
        if len(x):
            self.gpr.fit(x, y)


class HyperbandOracle(RestorableOracle, OpenHyperband):
    """KerasTuner's Hyperband (Li et al., JMLR 18, 2018).

    Its own never ends a bracket in which a trial failed: here one counts as the worst.
    """

    def populate_space(self, trial_id: str) -> Answer:
        """The next values: new ones, or those of a trial to go on with."""
        with self._failed_ranked_last():
            answer: Answer = keras_tuner.oracles.HyperbandOracle.populate_space(
                self, trial_id
            )
        return answer

    def may_go_on(self) -> set[str]:
        """Trials of unfinished brackets that were not gone on with yet."""
        found = set()
        for bracket, rounds in self.unfinished_brackets():
            for index, (now, following) in enumerate(itertools.pairwise(rounds)):
                if len(following) < self.round_size(bracket, index + 1):
                    gone_on = {entry["past_id"] for entry in following}
                    found |= {entry["id"] for entry in now} - gone_on
        return found

    def sweep(self) -> int:
        """Configurations in one sweep over all brackets."""
        return sum(self.round_size(each, 0) for each in range(self.bracket_count()))

    @contextmanager
    def _failed_ranked_last(self) -> Iterator[None]:
        failed = [t for t in self.trials.values() if t.status == FAILED]
        worst = -math.inf if self.objective.direction == "max" else math.inf
        for trial in failed:
            trial.status, trial.score = COMPLETED, worst
        try:
            yield
        finally:
            for trial in failed:
                trial.status, trial.score = FAILED, None


def build(
    config: SearchConfig,
    space: Space,
    objective: Objective,
    *,
    epochs: float,
    seed: int,
) -> RestorableOracle:
    """The oracle that `--tuner` names.

    Args:
      config: of the search.
      space: what is searched.
      objective: what is to be best.
      epochs: of a full training.
      seed: of the draws.

    Raises:
      UserError: the tuner cannot search this space, or not for so many epochs.
    """
    common: dict[str, Any] = {
        "objective": keras_tuner.Objective(objective.tag, objective.direction),
        "hyperparameters": hyperparameters(space),
        # KerasTuner takes a seed of 0 for none.
        "seed": seed + 1,
        "max_consecutive_failed_trials": _NO_LIMIT,
    }
    if config.tuner == "hyperband":
        oracle = _hyperband(config, epochs, common)
    else:
        oracle = _limited(config, space, epochs, common)
        oracle.limit = config.trials
    oracle.verbose = 0
    return oracle


def _limited(
    config: SearchConfig, space: Space, epochs: float, common: Mapping[str, Any]
) -> RestorableOracle:
    """The oracle of a tuner that may be stopped after any number of trials."""
    if config.tuner == "asha":
        rungs: dict[str, Any] = {
            "min_epochs": config.min_epochs,
            "factor": config.factor,
            "sampler": config.sampler,
        }
        return AshaOracle(max_epochs=epochs, **rungs, **common)
    if config.tuner == "grow":
        return GrowOracle(space=space, repeats=config.repeats, **common)
    if config.tuner == "grid":
        _require_listed(space)
        return GridOracle(max_trials=None, **common)
    kind = RandomOracle if config.tuner == "random" else BayesianOracle
    return kind(max_trials=None, **common)


def _hyperband(
    config: SearchConfig, epochs: float, common: Mapping[str, Any]
) -> HyperbandOracle:
    if epochs != int(epochs) or epochs < config.factor:
        raise UserError(
            f"--epochs={epochs:g} with --tuner=hyperband: expected a whole number, at"
            f" least --factor={config.factor}"
        )
    arguments = {"max_epochs": int(epochs), "factor": config.factor, **common}
    sweep = HyperbandOracle(**arguments).sweep()
    sweeps, rest = divmod(config.trials or sweep, sweep)
    if rest or not sweeps:
        raise UserError(
            f"--trials={config.trials} with --tuner=hyperband: a sweep over"
            f" --epochs={epochs:g} tries {sweep} configurations; expected a multiple of"
            " that, or no --trials for one sweep"
        )
    return HyperbandOracle(hyperband_iterations=sweeps, **arguments)


def _require_listed(space: Space) -> None:
    for dimension in space:
        if dimension.listed() is None:
            raise UserError(
                f"--search={dimension.name}={dimension.low}..{dimension.high} with"
                " --tuner=grid: a grid needs values; add :step=S (a factor with :log),"
                " or give choices (A|B|C)"
            )
