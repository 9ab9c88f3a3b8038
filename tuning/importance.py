"""How much each flag matters: by how much a score is foretold worse without it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from tuning.runs import TrialRun
from tuning.space import Space

# Fewer runs tell nothing of several flags.
LEAST_RUNS = 6
_RESAMPLES = 20
_TREES = 50
_SHUFFLES = 5


@dataclasses.dataclass(frozen=True)
class Importance:
    """The importance of a flag, in units of the scores' variance.

    Attributes:
      name: of the flag.
      mean: 0 where a shuffled flag foretells the score as well as the true one.
      low, high: the middle 90 % over resamples of the runs.
    """

    name: str
    mean: float
    low: float
    high: float


def importances(
    runs: Sequence[TrialRun], space: Space, seed: int = 0
) -> list[Importance]:
    """The importance of each flag, the greatest first.

    Permutation importance (Breiman, "Random Forests", 2001, section 10) of a forest
    that foretells the score from the flags, over bootstrap resamples of the runs: with
    few runs the uncertainty is large, and shows.

    Returns:
      Nothing where there are fewer than LEAST_RUNS runs with a score, or all scores are
      equal.
    """
    scored = [run for run in runs if run.score is not None and not run.confirms]
    scores = np.array([run.score for run in scored], float)
    if len(scored) < LEAST_RUNS or np.ptp(scores) == 0:
        return []
    flags = np.array([encoded(run.flags, space) for run in scored])
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(_RESAMPLES):
        rows = random.integers(0, len(scored), len(scored))
        if np.ptp(scores[rows]) > 0:
            drawn.append(_importance(flags[rows], scores[rows], random))
    low, high = np.percentile(drawn, (5, 95), axis=0)
    means = np.mean(drawn, axis=0)
    found = [
        Importance(dimension.name, *map(float, numbers))
        for dimension, *numbers in zip(space, means, low, high, strict=True)
    ]
    return sorted(found, key=lambda importance: -importance.mean)


def encoded(flags: dict[str, Any], space: Space) -> list[float]:
    """A run's flags as numbers between 0 and 1; -0.5 for one that it does without.

    Ranges by their place in them (in the logarithm, where it is what is drawn), choices
    by their place in the list.
    """
    return [
        -0.5 if d.name not in flags else place(flags[d.name], space, d.name)
        for d in space
    ]


def place(value: Any, space: Space, name: str) -> float:
    """Where a value lies between the ends of its flag: 0 to 1."""
    dimension = space[name]
    if not dimension.is_range:
        return dimension.values.index(value) / (len(dimension.values) - 1)
    low, high, at = float(dimension.low), float(dimension.high), float(value)
    if dimension.log:
        low, high, at = np.log(low), np.log(high), np.log(at)
    return (at - low) / (high - low)


def _importance(
    flags: np.ndarray, scores: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    seed = int(random.integers(2**31))
    forest = RandomForestRegressor(_TREES, random_state=seed).fit(flags, scores)
    shuffled = permutation_importance(
        forest, flags, scores, n_repeats=_SHUFFLES, random_state=seed
    )
    means: np.ndarray = shuffled.importances_mean
    return means
