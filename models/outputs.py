"""A model's last layers: from features to what its task wants of it."""

from typing import Any

import keras

from models.spec import Outputs
from models.tasks.registry import task_of


def output_layers(outputs: Outputs) -> list[Any]:
    """Layers from features [B, F] to float32 [B, outputs.size]: the task's head."""
    return task_of(outputs).head()


def apply_outputs(
    features: keras.KerasTensor, outputs: Outputs, dropout: float
) -> keras.KerasTensor:
    """The outputs, float32 [B, outputs.size], of features [B, F] after dropout."""
    if dropout:
        features = keras.layers.Dropout(dropout, name="dropout")(features)
    for layer in output_layers(outputs):
        features = layer(features)
    return features
