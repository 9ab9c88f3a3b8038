"""Finds where a step went wrong: the first layer with a value that is not finite."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app.training import randomness
from app.training.algorithm import Algorithm
from models import keras_internals
from pipelines.batch import Batch


def culprit(algorithm: Algorithm, batch: Batch, *, seed: int, step: int) -> str:
    """Repeats one step eagerly and names what first was not finite.

    The weights must be those the step began with.
    """
    found: list[str] = []
    inputs = tf.nest.flatten(batch.inputs)
    if not all(_is_finite(value) for value in inputs):
        return "the batch's inputs"
    players, size = algorithm.players, batch.weights.shape[0]

    def look(layer: keras.layers.Layer, outputs: Any) -> None:
        if not found and not all(map(_is_finite, tf.nest.flatten(outputs))):
            found.append(layer.path or layer.name)

    several = len(players) > 1
    with (
        keras_internals.outputs_watched(look),
        tf.GradientTape(persistent=several) as tape,
    ):
        with randomness.keyed_draws(seed, tf.constant(step, tf.int64)):
            played = algorithm.play(batch)
        losses = [played.objective(player, batch, size) for player in players]
    if found:
        return f"the output of layer {found[0]}"
    for player, loss in zip(players, losses, strict=True):
        if not _is_finite(loss):
            return "the loss" + (f" of {player.name}" if several else "")
    for player, loss in zip(players, losses, strict=True):
        gradients = tape.gradient(loss, player.variables)
        for variable, gradient in reversed(
            list(zip(player.variables, gradients, strict=True))
        ):
            if gradient is not None and not _is_finite(gradient):
                return f"the gradient of {variable.path}"
    return "nothing when the step was repeated in Python; try --precision=float32"


def _is_finite(value: Any) -> bool:
    tensor = tf.convert_to_tensor(value)
    if not tensor.dtype.is_floating:
        return True
    return bool(np.all(tf.math.is_finite(tensor).numpy()))
