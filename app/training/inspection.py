"""Looks at a training from outside its steps, without changing it."""

from typing import Any

import tensorflow as tf

from app.training import randomness
from app.training.step import TrainerParts
from pipelines.batch import Batch


class Inspector:
    """What a training sees and how large its weights and gradients are.

    Args:
      parts: what is trained.
    """

    def __init__(self, parts: TrainerParts) -> None:
        self._parts = parts
        self._algorithm = parts.algorithm
        # As in the step: an algorithm is not for AutoGraph to translate.
        self._gradients = tf.function(self._gradient_function, autograph=False)

    def batch_of(self, step: int) -> Batch:
        """The global batch of a step, again."""
        feed = self._parts.feed
        if feed.resident:
            return feed.batch(step)
        return next(iter(feed.batches(step))).as_floats()

    def forward_graph(self) -> Any:
        """The model's forward pass as a concrete function, for TensorBoard."""
        inputs = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype), self.batch_of(0).inputs
        )
        model = self._algorithm.model
        forward = tf.function(lambda x: model(x, training=False), autograph=False)
        return forward.get_concrete_function(inputs)

    def gradients(self, batch: Batch, step: int) -> list[tf.Tensor]:
        """Of a whole batch as that of `step`: of all players' variables, in order."""
        return self._gradients(batch, tf.constant(step, tf.int64))

    def norms(self, step: int) -> dict[str, float]:
        """Norms of weights, and of their gradients on the batch of `step`, by variable.

        What the forward pass changes beside the weights, such as moving averages, is
        put back: looking must not alter the run.
        """
        moving = self._algorithm.model.non_trainable_variables
        before = [variable.numpy() for variable in moving]
        gradients = self.gradients(self.batch_of(step), step)
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
        found: dict[str, float] = {}
        variables = [v for player in self._algorithm.players for v in player.variables]
        for variable, gradient in zip(variables, gradients, strict=True):
            found[f"norms/weights/{variable.path}"] = float(tf.norm(variable))
            found[f"norms/gradients/{variable.path}"] = float(tf.norm(gradient))
        return found

    def _gradient_function(self, batch: Batch, step: tf.Tensor) -> list[tf.Tensor]:
        players = self._algorithm.players
        with tf.GradientTape(persistent=len(players) > 1) as tape:
            with randomness.keyed_draws(self._parts.seed, step):
                played = self._algorithm.play(batch)
            size = self._parts.batch_size
            losses = [played.objective(player, batch, size) for player in players]
        found = []
        for player, loss in zip(players, losses, strict=True):
            found += tape.gradient(loss, player.variables, unconnected_gradients="zero")
        return found
