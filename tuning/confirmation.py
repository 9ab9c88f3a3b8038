"""Which run is the best, by its score or by the mean over new seeds."""

import dataclasses
import statistics
from collections.abc import Sequence

from tuning.objective import Objective
from tuning.runs import TrialRun


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A run and what it is ranked by.

    Attributes:
      run: of the search.
      scores: with new seeds, where it was confirmed.
    """

    run: TrialRun
    scores: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The mean over the new seeds, or the search's own score without them."""
        return statistics.fmean(self.scores or (self.run.score or 0.0,))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the new seeds; None with fewer than two of them."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None


def name_of(run: str, seed_offset: int) -> str:
    """The name of the run that trains another again, with another seed."""
    return f"{run}-seed+{seed_offset}"


def ranking(
    runs: Sequence[TrialRun],
    objective: Objective,
    *,
    chosen: str | None = None,
    confirmed: bool = True,
) -> list[Ranked]:
    """The runs of a search that have a score, the best first.

    1. Those that were confirmed, by their mean over the new seeds, as the score in the
       search is partly luck: it was selected for.
    2. The one that the tuner itself has chosen.
    3. Those that were trained to the end, by their score; then the others.

    Args:
      runs: all of them, confirmations included.
      objective: what is to be best.
      chosen: the run that the tuner holds for the best, if it does.
      confirmed: whether to look at confirmations.
    """
    own = [run for run in runs if not run.confirms and _has_score(run)]
    ranked = [
        Ranked(run, _confirmations(run, runs) if confirmed else ()) for run in own
    ]

    def key(entry: Ranked) -> tuple[bool, bool, bool, float]:
        return (
            not entry.scores,
            not entry.scores and entry.run.name != chosen,
            not entry.scores and entry.run.state != "finished",
            objective.sort_key(entry.mean),
        )

    return sorted(ranked, key=key)


def lucky(ranked: Sequence[Ranked], objective: Objective) -> Ranked | None:
    """The run that was the best of the confirmed in the search, but not by the mean."""
    confirmed = [entry for entry in ranked if entry.scores]
    if len(confirmed) < 2:
        return None
    first = min(confirmed, key=lambda entry: objective.sort_key(entry.run.score or 0.0))
    return None if first.run.score == confirmed[0].run.score else first


def _has_score(run: TrialRun) -> bool:
    return run.score is not None and run.state != "failed"


def _confirmations(run: TrialRun, runs: Sequence[TrialRun]) -> tuple[float, ...]:
    return tuple(
        other.score
        for other in runs
        if other.confirms == run.name
        and other.state == "finished"
        and other.score is not None
    )
