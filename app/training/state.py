"""Everything a run is at a step, as arrays and a few numbers: what a checkpoint holds.

Nothing random is in it and no place in the data but the step: both are functions.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app.distribution import tf_internals
from app.training.algorithm import Player
from base.errors import UserError
from models import keras_internals


@dataclasses.dataclass
class Progress:
    """The plain numbers of a run.

    Attributes:
      step: training steps done.
      seconds: training time so far, over all resumes.
      evaluated_step: the step of the last evaluation; -1 before the first.
      best_step: the step of the best evaluation; -1 before the first.
      best: that evaluation's line of metrics.jsonl.
      last: the last evaluation's line.
      evaluations_since_best: for early stopping.
      stopped_early: early stopping has ended the training.
    """

    step: int = 0
    seconds: float = 0.0
    evaluated_step: int = -1
    best_step: int = -1
    best: dict[str, float] = dataclasses.field(default_factory=dict)
    last: dict[str, float] = dataclasses.field(default_factory=dict)
    evaluations_since_best: int = 0
    stopped_early: bool = False

    def to_json(self) -> dict[str, Any]:
        """As it stands in a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Progress":
        """What `to_json` wrote."""
        return cls(**values)


class TrainState:
    """A model and its players' optimizers, the running sums and the progress.

    Args:
      model: built; its weights are part of the state.
      players: those that learn its variables, each by an optimizer.
      sums: how many running sums there are over the examples since the last
        evaluation.
    """

    def __init__(
        self, model: keras.Model, players: Sequence[Player], sums: int
    ) -> None:
        self.model = model
        self._players = tuple(players)
        self.sums = np.zeros(sums, np.float64)
        self.progress = Progress()
        self._copies: dict[str, np.ndarray] = {}

    def learning_rates(self) -> dict[str, float]:
        """`learning_rate` of the first player; of another, `learning_rate/NAME`."""
        rates = {}
        for i, player in enumerate(self._players):
            rate = tf.convert_to_tensor(player.optimizer.learning_rate)
            rates[_of("learning_rate", i, player)] = float(rate)
        return rates

    def arrays(self) -> dict[str, np.ndarray]:
        """A copy of every array of the state, by name; the next call overwrites it.

        The memory is kept from call to call: where the system has to find new pages,
        that takes longer than the copy itself.
        """
        for name, variable in self._variables().items():
            value = tf_internals.view_of(tf.convert_to_tensor(variable))
            if name not in self._copies:
                self._copies[name] = np.empty_like(value)
            np.copyto(self._copies[name], value)
        return {**self._copies, "sums": self.sums.copy()}

    def restore(self, arrays: Mapping[str, np.ndarray], progress: Progress) -> None:
        """Takes over what `arrays` and `progress` gave.

        Raises:
          UserError: the arrays are not this model's and optimizer's.
        """
        variables = self._variables()
        shapes = {name: tuple(v.shape) for name, v in variables.items()}
        shapes["sums"] = self.sums.shape
        check_arrays(arrays, shapes)
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.sums = np.array(arrays["sums"])
        self.progress = progress

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the model's weights are their moving average, if one is kept."""
        pairs = self._average_pairs()
        raw = [variable.numpy() for variable, _ in pairs]
        for variable, average in pairs:
            variable.assign(average)
        try:
            yield
        finally:
            for (variable, _), value in zip(pairs, raw, strict=True):
                variable.assign(value)

    def _average_pairs(self) -> list[tuple[Any, Any]]:
        return [pair for player in self._players for pair in average_pairs(player)]

    def _variables(self) -> dict[str, Any]:
        """All of the state by name, as checkpoints have it.

        The first player's optimizer is `optimizer`, so that an algorithm of one player
        needs no name for it; another one's is `optimizer/NAME`.
        """
        weights = named("model", self.model.weights)
        average_of = {id(v): average for v, average in self._average_pairs()}
        averages = {
            f"average/{name}": average_of[id(variable)]
            for name, variable in weights.items()
            if id(variable) in average_of
        }
        kept = {id(average) for average in averages.values()}
        found = weights | averages
        for i, player in enumerate(self._players):
            others = [v for v in player.optimizer.variables if id(v) not in kept]
            found |= named(_of("optimizer", i, player), others)
        return found


def _of(name: str, index: int, player: Player) -> str:
    return name if index == 0 else f"{name}/{player.name}"


def named(prefix: str, variables: Sequence[Any]) -> dict[str, Any]:
    """Variables by a name that says their place and path: `model/0003/dense/kernel`."""
    return {f"{prefix}/{i:04d}/{v.path}": v for i, v in enumerate(variables)}


def average_pairs(player: Player) -> list[tuple[Any, Any]]:
    """(variable, its moving average) of a player's variables; nothing without --ema."""
    averages = keras_internals.moving_averages(player.optimizer)
    return list(zip(player.variables, averages, strict=True)) if averages else []


def check_arrays(
    arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Compares a checkpoint's arrays with the shapes that are expected.

    Raises:
      UserError: a name is missing or too many, or a shape is another.
    """
    found = {name: tuple(value.shape) for name, value in arrays.items()}
    if found == dict(shapes):
        return
    odd = sorted(
        name for name in {*found, *shapes} if found.get(name) != shapes.get(name)
    )
    name = odd[0]
    raise UserError(
        f"the checkpoint holds other variables than the model: {len(odd)} differ, the"
        f" first {name}: {found.get(name, 'missing')} there,"
        f" {shapes.get(name, 'missing')} here; was the model's code changed?"
    )


def weights_sha256(model: keras.Model) -> str:
    """SHA-256 over the bytes of the model's variables, in the model's order.

    States of seed generators are no part of the model: draws are keyed by the step.
    """
    digest = hashlib.sha256()
    for variable in model.weights:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()
