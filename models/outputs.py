"""A model's last layers: from features to logits, or to values in real units."""

import keras

from models.spec import Outputs


def output_layers(outputs: Outputs) -> list[keras.layers.Layer]:
    """Layers from features [B, F] to float32 [B, outputs.size].

    They compute in float32 whatever the precision of the model: a softmax over rounded
    logits, or a rounded prediction, would be the first thing to suffer.
    """
    if outputs.task == "classification":
        return [keras.layers.Dense(outputs.size, dtype="float32", name="logits")]
    dense = keras.layers.Dense(outputs.size, dtype="float32", name="standardized")
    if not outputs.mean:
        return [dense]
    scale = keras.layers.Rescaling(
        list(outputs.std), list(outputs.mean), dtype="float32", name="values"
    )
    return [dense, scale]


def apply_outputs(
    features: keras.KerasTensor, outputs: Outputs, dropout: float
) -> keras.KerasTensor:
    """The outputs, float32 [B, outputs.size], of features [B, F] after dropout."""
    if dropout:
        features = keras.layers.Dropout(dropout, name="dropout")(features)
    for layer in output_layers(outputs):
        features = layer(features)
    return features
