"""What a search is told of its jobs, and what it remembers of each run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tuning.objective import Objective


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
      state: `finished` (trained to the end), `paused` (at `until`), `failed`,
        `interrupted` (to be gone on with), or `died` (without a word: gone on with, but
        not for ever).
      history: (epoch, value) of the objective at each evaluation.
      epochs: trained so far.
      seconds: of training so far.
      reason: why it failed.
    """

    state: str
    history: list[tuple[float, float]]
    epochs: float
    seconds: float
    reason: str = ""


@dataclasses.dataclass
class TrialRun:
    """One configuration with one seed, over all that was trained of it.

    Attributes:
      name: of its folder.
      flags: the searched flags; those that its values do without are left out.
      seed_offset: is added to the search's seed.
      confirms: name of the run that is trained again here, with another seed.
      state: `running`, `interrupted`, `paused`, `finished` or `failed`.
      score: the best value of the objective so far; None without one.
      best_epoch: where it was reached.
      epochs: trained so far.
      seconds: of training so far.
      reason: why it failed.
      history: (epoch, value) of the objective.
    """

    name: str
    flags: dict[str, Any]
    seed_offset: int = 0
    confirms: str = ""
    state: str = "running"
    score: float | None = None
    best_epoch: float | None = None
    epochs: float = 0.0
    seconds: float = 0.0
    reason: str = ""
    history: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "TrialRun":
        """What `to_json` gave."""
        history = [(epoch, score) for epoch, score in value["history"]]
        return cls(**{**value, "history": history})

    def to_json(self) -> dict[str, Any]:
        """The run as a JSON value."""
        return dataclasses.asdict(self)

    def record(self, outcome: Outcome, objective: Objective) -> None:
        """Takes over how far a job on this run has come."""
        self.state = outcome.state
        self.epochs = outcome.epochs
        self.seconds = outcome.seconds
        self.reason = outcome.reason if outcome.state == "failed" else ""
        self.history = outcome.history
        if self.history:
            self.best_epoch, self.score = objective.best(self.history)
