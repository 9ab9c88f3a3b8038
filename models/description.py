"""A model in words and figures: its layers and its parameters."""

import math

import keras

from models import keras_internals


def parameter_counts(model: keras.Model) -> tuple[int, int]:
    """The numbers of (trainable, all) parameters of a built model.

    Seeds, which Keras keeps in variables too, are not counted.
    """
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_weights)
    return trainable, sum(math.prod(variable.shape) for variable in model.weights)


def layer_table(model: keras.Model) -> str:
    """The text of model.txt: a line for each layer, then the totals.

    Layers within layers are listed below them, indented.
    """
    rows = [("layer", "type", "output shape", "parameters"), *_rows(model, "")]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {shape:<{widths[2]}}  "
        f"{count:>{widths[3]}}"
        for name, kind, shape, count in rows
    ]
    trainable, total = parameter_counts(model)
    lines.insert(1, "-" * len(lines[0]))
    summary = f"{total:,} parameters, {trainable:,} of them trainable"
    return "\n".join([f"{model.name}: {summary}", "", *lines, ""])


def _rows(parent: keras.layers.Layer, indent: str) -> list[tuple[str, str, str, str]]:
    rows = []
    for layer in _children(parent):
        rows.append(
            (
                indent + layer.name,
                type(layer).__name__,
                _output_shape(layer),
                f"{layer.count_params():,}" if layer.built else "0",
            )
        )
        rows.extend(_rows(layer, indent + "  "))
    return rows


def _children(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    if isinstance(layer, keras.Model):
        return layer.layers
    children = keras_internals.all_layers(layer, recursive=False)
    return [child for child in children if child.weights]


def _output_shape(layer: keras.layers.Layer) -> str:
    """The shape of one example's output, or "" where Keras does not know it."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):
        return ""
    return "x".join(map(str, shape[1:]))
