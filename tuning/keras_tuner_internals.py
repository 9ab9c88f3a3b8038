"""KerasTuner's private parts: all that the oracles rely on and it does not promise.

Each part says what it relies on, and has a test of its own; setup.py keeps KerasTuner
to the versions in which they hold. Nothing else reaches into it: a test looks.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine import hyperparameters as kinds
from keras_tuner.engine.trial import Trial

__all__ = ["Trial"]

Values = dict[str, Any]


class OpenOracle(keras_tuner.Oracle):
    """An oracle whose private parts have names, for oracles that are its subclasses.

    Relies on `Oracle._duplicate`, `_random_values`, `_compute_values_hash`,
    `_save_trial`, `_max_collisions` and `_seed_state`, from which `_random_values`
    takes its seeds one after another.

    Attributes:
      ongoing_trials: by the name of the tuner that has them.
      tuner_ids: names of tuners that were seen.
    """

    # KerasTuner's own, which carry no types.
    ongoing_trials: dict[str, Trial]
    tuner_ids: set[str]
    _seed_state: int
    _max_collisions: int

    def is_tried(self, values: Values) -> bool:
        """Whether a trial has had these values; notes them as tried if none has."""
        return bool(self._duplicate(values))

    def drawn_values(self) -> Values | None:
        """Values that no trial has had, at random; None if none were found."""
        drawn: Values | None = self._random_values()
        return drawn

    @property
    def draw_state(self) -> int:
        """What the next draw depends on, to be put back after a look ahead."""
        return self._seed_state

    @draw_state.setter
    def draw_state(self, state: int) -> None:
        self._seed_state = state

    @property
    def most_draws(self) -> int:
        """How often KerasTuner draws before it takes a space for exhausted."""
        return self._max_collisions

    def telling(self, values: Mapping[str, Any]) -> Values:
        """Those of a trial's values that tell it from others: all."""
        return dict(values)

    def _compute_values_hash(self, values: Mapping[str, Any]) -> str:
        digest: str = super()._compute_values_hash(self.telling(values))
        return digest

    def keep(self, trial: Trial) -> None:
        """Writes a trial to the oracle's folder."""
        super()._save_trial(trial)

    def _save_trial(self, trial: Trial) -> None:
        self.keep(trial)


class OpenGrid(keras_tuner.oracles.GridSearchOracle):
    """KerasTuner's grid search with its place in the grid.

    Relies on `GridSearchOracle._ordered_ids`, a linked list with `insert(id)` at its
    end and `next(id)`; on `_populate_next`, the trials whose successors are due; and on
    the first trial being the first of the list.
    """

    _ordered_ids: Any
    _populate_next: list[str]

    def grid_place(self) -> dict[str, list[str]]:
        """Trials in the order of the grid, and those whose successors are due."""
        return {
            "ordered": list(self._in_order()),
            "populate_next": list(self._populate_next),
        }

    def return_to(self, place: Mapping[str, Any]) -> None:
        """Takes over what `grid_place` gave."""
        self._ordered_ids = type(self._ordered_ids)()
        for trial_id in place["ordered"]:
            self._ordered_ids.insert(trial_id)
        self._populate_next = list(place["populate_next"])

    def _in_order(self) -> Iterator[str]:
        """Trials by their values: the first one has the defaults."""
        trial_id = self.start_order[0] if self.start_order else None
        while trial_id is not None:
            yield trial_id
            trial_id = self._ordered_ids.next(trial_id)


class OpenBayesian(keras_tuner.oracles.BayesianOptimizationOracle):
    """KerasTuner's Bayesian optimization with its draws and its data.

    Relies on `BayesianOptimizationOracle._random_state`, from which it draws where the
    search for the best begins; on `_vectorize_trials`, the data of its model; and on
    `_random_populate_space`, its answer before there is enough of it.
    """

    def draw_from(self, seed: Sequence[int]) -> None:
        """Draws from here on are a function of `seed`."""
        self._random_state = np.random.RandomState(seed)

    def tried_points(self) -> tuple[np.ndarray, np.ndarray]:
        """Completed trials: points [trials, parameters], and scores [trials]."""
        points: tuple[np.ndarray, np.ndarray] = self._vectorize_trials()
        return points

    def random_answer(self) -> dict[str, Any]:
        """An answer with values drawn at random."""
        answer: dict[str, Any] = self._random_populate_space()
        return answer


class OpenHyperband(keras_tuner.oracles.HyperbandOracle):
    """KerasTuner's Hyperband with its brackets.

    Relies on `HyperbandOracle._brackets`, dicts of a `bracket_num` and its `rounds`,
    lists of dicts of `id` and `past_id`; on `_get_num_brackets`; and on `_get_size`,
    the number of trials in a round of a bracket.
    """

    _brackets: list[dict[str, Any]]

    def unfinished_brackets(self) -> Iterator[tuple[int, list[list[dict[str, Any]]]]]:
        """Each bracket's number and its rounds so far."""
        for bracket in self._brackets:
            yield bracket["bracket_num"], bracket["rounds"]

    def round_size(self, bracket: int, number: int) -> int:
        """How many trials a bracket's round has once it is full."""
        return int(self._get_size(bracket, number))

    def bracket_count(self) -> int:
        """Brackets of one sweep."""
        return int(self._get_num_brackets())


def is_unordered(parameter: Any) -> bool:
    """Whether a parameter's values are choices without an order.

    Relies on the classes of `keras_tuner.engine.hyperparameters`, which are exported
    and not documented.
    """
    if isinstance(parameter, kinds.Choice):
        return not parameter.ordered
    return isinstance(parameter, kinds.Boolean)
