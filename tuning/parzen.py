"""New configurations by Optuna's tree-structured Parzen estimator.

Configurations are drawn where many of the good ones so far lie and few of the others
(Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011), all
flags together (Falkner et al., "BOHB", ICML 2018). Numbers are points in [0, 1], as
KerasTuner counts them; choices without an order stay what they are.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np
import optuna
from optuna import distributions
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning.keras_tuner_internals import is_unordered


@dataclasses.dataclass(frozen=True)
class Tried:
    """A configuration that was tried, or is being tried.

    Attributes:
      values: of its flags.
      rung: to which it was trained; those of a higher rung count as better. -1 if it
        failed before the first.
      score: there; None if it failed.
      running: whether nothing is known of it yet.
    """

    values: Mapping[str, Any]
    rung: int = -1
    score: float | None = None
    running: bool = False


def propose(
    space: keras_tuner.HyperParameters,
    tried: Sequence[Tried],
    *,
    direction: str,
    seed: Sequence[int],
) -> dict[str, Any]:
    """The values of a configuration to try: a function of the arguments.

    Args:
      space: what is searched, a parent before what depends on it.
      tried: so far, in their order.
      direction: of the scores: "min" or "max".
      seed: of the draws.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (state,) = np.random.SeedSequence(seed).generate_state(1)
    sampler = optuna.samplers.TPESampler(seed=int(state), n_startup_trials=0)
    wanted = StudyDirection.MINIMIZE if direction == "min" else StudyDirection.MAXIMIZE
    study = optuna.create_study(direction=wanted, sampler=sampler)
    study.add_trials([_as_trial(space, each) for each in tried])
    trial = study.ask()
    found = keras_tuner.HyperParameters()
    for parameter in space.space:
        found.merge([parameter])
        if found.is_active(parameter):
            found.values[parameter.name] = _drawn(parameter, trial)
    values: dict[str, Any] = found.values
    return values


def _as_trial(space: keras_tuner.HyperParameters, tried: Tried) -> FrozenTrial:
    """What Optuna is told: all are pruned, so that it ranks by rung, then by score."""
    known = [each for each in space.space if each.name in tried.values]
    return create_trial(
        state=TrialState.RUNNING if tried.running else TrialState.PRUNED,
        params={each.name: _point(each, tried.values[each.name]) for each in known},
        distributions={each.name: _distribution(each) for each in known},
        intermediate_values={} if tried.score is None else {tried.rung: tried.score},
    )


def _drawn(parameter: Any, trial: optuna.Trial) -> Any:
    """A value in KerasTuner's terms."""
    if is_unordered(parameter):
        return trial.suggest_categorical(parameter.name, parameter.values)
    return parameter.prob_to_value(trial.suggest_float(parameter.name, 0.0, 1.0))


def _point(parameter: Any, value: Any) -> Any:
    """A value in Optuna's terms."""
    if is_unordered(parameter):
        return value
    return min(max(float(parameter.value_to_prob(value)), 0.0), 1.0)


def _distribution(parameter: Any) -> distributions.BaseDistribution:
    if is_unordered(parameter):
        return distributions.CategoricalDistribution(parameter.values)
    return distributions.FloatDistribution(0.0, 1.0)
