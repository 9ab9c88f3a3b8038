"""What a step learns by: who plays, and the losses of each from one batch.

An algorithm says no more than that. Slices of a batch, replicas, clipping, scaling of
losses, checkpoints and parameter servers hold for every algorithm alike: see `step` and
`state`. Read `Supervised` as the example.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from models.losses import PerExampleLoss
from pipelines.batch import Batch


@dataclasses.dataclass(frozen=True)
class Player:
    """Variables that are learnt by a loss of their own.

    Attributes:
      name: among the players of an algorithm; it stands in checkpoints.
      variables: those that its gradients are taken of, each of the model.
      optimizer: built on `variables`.
    """

    name: str
    variables: Sequence[keras.Variable]
    optimizer: keras.optimizers.Optimizer


@dataclasses.dataclass(frozen=True)
class Played:
    """What came of one forward pass in training.

    Attributes:
      losses: of each example, float32 [B], by the player's name.
      outputs: for the metrics.
      penalties: scalars by the player's name, where there are any: what is added to
        its mean loss whatever the examples are, such as the decay of weights.
    """

    losses: Mapping[str, tf.Tensor]
    outputs: Any
    penalties: Mapping[str, tf.Tensor] = dataclasses.field(default_factory=dict)

    def objective(
        self, player: Player, batch: Batch, batch_size: int, slices: int = 1
    ) -> tf.Tensor:
        """A slice's share of a player's mean loss of the global batch: float32.

        Args:
          player: whose.
          batch: the slice.
          batch_size: examples in the global batch.
          slices: that the global batch is divided into.
        """
        weighted = self.losses[player.name] * batch.weights
        loss = tf.reduce_sum(weighted) / batch_size
        if player.name in self.penalties:
            loss += self.penalties[player.name] / slices
        return loss


class Algorithm(Protocol):
    """Players, and what each of them loses by a batch.

    Its draws, such as a generator's noise, are to come from `keras.random`: there they
    are a function of the seed, the step and the slice, so that a resumed run repeats
    them.
    """

    @property
    def model(self) -> keras.Model:
        """Holds all variables of all players; its forward pass is what is evaluated."""

    @property
    def players(self) -> tuple[Player, ...]:
        """At least one; the first one's loss is what is shown."""

    def play(self, batch: Batch) -> Played:
        """One forward pass in training; every player's gradients are taken through it.

        It is called once for each slice of a batch, on each replica, and adds to no
        state but the model's own variables, such as moving averages.
        """


class Supervised:
    """A model learns to give the labels: one player, all that is trainable.

    Args:
      model: the Keras model.
      loss: of each example.
      optimizer: built on the model's trainable variables.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: PerExampleLoss,
        optimizer: keras.optimizers.Optimizer,
    ) -> None:
        self.model = model
        self._loss = loss
        self._player = Player("model", tuple(model.trainable_variables), optimizer)

    @property
    def players(self) -> tuple[Player, ...]:
        """The one."""
        return (self._player,)

    def play(self, batch: Batch) -> Played:
        """The model's outputs and their losses."""
        outputs = self.model(batch.inputs, training=True)
        losses = self._loss(batch.labels, outputs)
        name = self._player.name
        own = self.model.losses
        penalties = {name: tf.add_n(own)} if own else {}
        return Played({name: losses}, outputs, penalties)


def moving_variables(model: keras.Model) -> list[keras.Variable]:
    """What forward passes change beside the weights, such as moving averages."""
    return [
        variable
        for variable in model.non_trainable_variables
        if tf.as_dtype(variable.dtype).is_floating
    ]
