"""Asynchronous successive halving (Li et al., "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020, algorithm 2), as an oracle.

New configurations are drawn at random, as published, or by what the tried ones gave.
All trials train for `min_epochs`; of those that have, one in `factor` goes on for
`factor` times as long, and so on. Nobody waits for a round to fill up: a trial goes on
as soon as it is among the best of those compared with it so far.
"""

import math
from typing import TYPE_CHECKING, Any

from base.errors import UserError
from tuning.keras_tuner_internals import Trial
from tuning.restorable import (
    COMPLETED,
    FAILED,
    IDLE,
    RUNNING,
    STOPPED,
    Answer,
    RestorableOracle,
    continues,
)

if TYPE_CHECKING:
    from tuning.parzen import Tried

# Configurations that are drawn at random before any other: Optuna's own default.
STARTUP = 10


class AshaOracle(RestorableOracle):
    """Asynchronous successive halving, a function of its trials.

    Args:
      min_epochs: after which a trial is compared first.
      max_epochs: of a full training.
      factor: of so many trials one goes on, for so many times as long.
      sampler: of new configurations: "tpe" (see tuning.parzen) or "random".
      **options: of KerasTuner's Oracle.
    """

    def __init__(
        self,
        *,
        min_epochs: float,
        max_epochs: float,
        factor: int,
        sampler: str,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if min_epochs >= max_epochs:
            raise UserError(
                f"--min_epochs={min_epochs:g} with --epochs={max_epochs:g}: expected"
                " fewer, or nothing could be halved"
            )
        self._factor = factor
        self._sampler = sampler
        count = math.ceil(round(math.log(max_epochs / min_epochs, factor), 9))
        self.rungs = [min_epochs * factor**k for k in range(count)] + [max_epochs]

    def populate_space(self, trial_id: str) -> Answer:
        """The values of a trial to go on with, or else new ones.

        1. The best trial that is among the best 1/factor of its rung goes on, from the
           highest rung downwards.
        2. Else a new configuration is tried, as long as there are some left.
        3. At the end each rung sends one on at least, so that the best configuration
           of all has been trained to the end.
        """
        for rung in reversed(range(len(self.rungs) - 1)):
            completed = self._completed(rung)
            for trial in completed[: len(completed) // self._factor]:
                if not self._promotions(trial):
                    return self._go_on(trial, rung + 1)
        if self.limit is None or self.configurations() < self.limit:
            values = self._new_values()
            if values is not None:
                return {"status": RUNNING, "values": values | self._epochs(0)}
        if self.ongoing_trials:
            return {"status": IDLE}
        return self._send_on_at_least_one()

    def may_go_on(self) -> set[str]:
        """Trials that would still be among the best if all to come were worse.

        One more of each rung is kept, for one that fails after it went on.
        """
        found: set[str] = set()
        coming = max(0, (self.limit or 0) - self.configurations())
        for rung in range(len(self.rungs) - 1):
            arrived = sum(_rung_of(trial) == rung for trial in self.trials.values())
            places = max(1, (arrived + coming) // self._factor)
            ranked = self._completed(rung)[: places + 1]
            waiting = {t.trial_id for t in ranked if not self._promotions(t)}
            coming += len(waiting)
            found |= waiting
        return found

    def _new_values(self) -> dict[str, Any] | None:
        """The values of a configuration that was not tried; None if all were."""
        ended = [t for t in self.trials.values() if t.status in (COMPLETED, FAILED)]
        known = sum(continues(trial) is None for trial in ended)
        if self._sampler == "tpe" and known >= STARTUP:
            from tuning import parzen  # here, as it imports Optuna

            values = parzen.propose(
                self.hyperparameters,
                self._tried(),
                direction=self.objective.direction,
                seed=(self.seed, len(self.trials)),
            )
            if not self.is_tried(values):
                return values
        drawn: dict[str, Any] | None = self.drawn_values()
        return drawn

    def _tried(self) -> list["Tried"]:
        """Every configuration, with the score of the highest rung that it reached."""
        from tuning.parzen import Tried

        found: dict[str, Tried] = {}
        first: dict[str, str] = {}
        for name, trial in self.trials.items():  # in the order of their starts
            root = first[name] = first.get(continues(trial) or "", name)
            values = trial.hyperparameters.values
            if trial.status == COMPLETED:
                found[root] = Tried(values, _rung_of(trial), trial.score)
            elif root == name:
                found[root] = Tried(values, running=trial.status != FAILED)
        return list(found.values())

    def _completed(self, rung: int) -> list[Trial]:
        """Completed trials of a rung, the best first."""
        return self.best_first(
            [
                trial
                for trial in self.trials.values()
                if trial.status == COMPLETED and _rung_of(trial) == rung
            ]
        )

    def _promotions(self, trial: Trial) -> list[Trial]:
        """Trials that went on with this one."""
        return [t for t in self.trials.values() if continues(t) == trial.trial_id]

    def _send_on_at_least_one(self) -> Answer:
        for rung in range(len(self.rungs) - 1):
            completed = self._completed(rung)
            arrived = [
                t
                for t in self.trials.values()
                if _rung_of(t) == rung + 1 and t.status != FAILED
            ]
            waiting = [t for t in completed if not self._promotions(t)]
            if waiting and not arrived:
                return self._go_on(waiting[0], rung + 1)
        return {"status": STOPPED}

    def _go_on(self, trial: Trial, rung: int) -> Answer:
        flags = {
            name: value
            for name, value in trial.hyperparameters.values.items()
            if not name.startswith("tuner/")
        }
        own = {"tuner/trial_id": trial.trial_id, **self._epochs(rung)}
        return {"status": RUNNING, "values": flags | own}

    def _epochs(self, rung: int) -> dict[str, Any]:
        return {
            "tuner/rung": rung,
            "tuner/initial_epoch": self.rungs[rung - 1] if rung else 0,
            "tuner/epochs": self.rungs[rung],
        }


def _rung_of(trial: Trial) -> int:
    rung: int = trial.hyperparameters.values["tuner/rung"]
    return rung
