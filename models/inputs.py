"""A model's first layers: from raw inputs to what a network computes with.

The one place where raw values are rescaled, so that what is saved or exported takes
exactly what training took.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from base.errors import UserError
from models.layers.table_encoding import TableEncoding
from models.layers.whitening import Whitening
from models.spec import Column, Inputs


def stack_layers(
    inputs: Inputs, layers: Sequence[keras.layers.Layer], name: str
) -> keras.Model:
    """A model of `layers` over the flattened, preprocessed inputs, float32 [B, F].

    Sequential, but for tables: their rows are a dict, which a Sequential cannot take.
    """
    match inputs.kind:
        case "image" | "vector":
            flatten = keras.layers.Flatten(name="flatten")
            first = [input_tensor(inputs), preprocessing(inputs), flatten]
            return keras.Sequential([*first, *layers], name=name)
        case "table":
            return _stack_on_rows(inputs, layers, name)
        case _:
            raise _no_first_layers(inputs)


def _stack_on_rows(
    inputs: Inputs, layers: Sequence[keras.layers.Layer], name: str
) -> keras.Model:
    encoding = TableEncoding(inputs.columns, dtype="float32", name="table_encoding")
    rows = symbolic_inputs(inputs)
    features = encoding(rows)
    for layer in layers:
        features = layer(features)
    return keras.Model(rows, features, name=name)


def input_tensor(inputs: Inputs) -> keras.KerasTensor:
    """The symbolic raw inputs: float32 [B, *shape]."""
    return keras.Input(inputs.shape, dtype="float32", name=inputs.kind)


def symbolic_inputs(inputs: Inputs) -> Any:
    """The symbolic raw inputs of any kind: a tensor, or of a table a dict of them."""
    if inputs.kind != "table":
        return input_tensor(inputs)
    texts = sum(column.kind == "categorical" for column in inputs.columns)
    widths = {"numbers": len(inputs.columns) - texts, "texts": texts}
    dtypes = {"numbers": "float32", "texts": "string"}
    return {
        part: keras.Input((width,), dtype=dtypes[part], name=part)
        for part, width in widths.items()
        if width
    }


def preprocessing(inputs: Inputs) -> keras.layers.Layer:
    """A layer from raw inputs, float32 [B, *shape], to features of the same shape.

    It computes in float32 whatever the precision of the model, as bfloat16 would round
    what augmentation made of the pixels.

    Images: 0..255 to -1..1. Vectors: standardized, if `inputs` has mean and std.
    """
    match inputs.kind:
        case "image":
            return keras.layers.Rescaling(
                1 / 127.5, offset=-1.0, dtype="float32", name="rescaling"
            )
        case "vector":
            return _standardization(inputs)
        case _:
            raise _no_first_layers(inputs)


def _no_first_layers(inputs: Inputs) -> UserError:
    return UserError(
        f"inputs of kind {inputs.kind!r}: no first layers are known for them here; "
        "expected images, vectors or tables, or a model of your own"
    )


def _standardization(inputs: Inputs) -> keras.layers.Layer:
    if not inputs.mean:
        return keras.layers.Identity(dtype="float32", name="features")
    return keras.layers.Normalization(
        mean=inputs.mean,
        # A feature that never varied in training is centred, not blown up.
        variance=tuple(std**2 or 1.0 for std in inputs.std),
        dtype="float32",
        name="standardization",
    )


def image_features(inputs: Inputs, images: keras.KerasTensor) -> keras.KerasTensor:
    """The first features of a network on raw images [B, H, W, C].

    The rescaled pixels, or with `inputs.patches` the whitened patches, in float32 like
    all preprocessing: [B, H - size + 1, W - size + 1, 2 * size * size * C].
    """
    if inputs.patches is None:
        return preprocessing(inputs)(images)
    return Whitening(
        inputs.patches.size, patches=inputs.patches, dtype="float32", name="whitening"
    )(images)


def require_image(model: str, inputs: Inputs, smallest: int = 1) -> None:
    """Refuses inputs that are no images, or too small for the network.

    Args:
        model: The model, as the message names it.
        inputs: What the model is built for.
        smallest: The least height and width of the first features, in pixels.

    Raises:
        UserError: The inputs do not fit.
    """
    if inputs.kind != "image":
        raise UserError(
            f"model {model} received {inputs.kind} inputs of shape {inputs.shape}: "
            "expected images; use --model=mlp or --model=linear"
        )
    height, width, _ = inputs.shape
    if inputs.patches is not None:
        smallest += inputs.patches.size - 1
    if min(height, width) < smallest:
        raise UserError(
            f"model {model} received images of {height}x{width} pixels: expected at "
            f"least {smallest}x{smallest}; enlarge them with --image_size={smallest}"
        )


def random_inputs(inputs: Inputs, batch: int) -> Any:
    """Inputs of so many examples, as a batch has them, the same at each call."""
    generator = np.random.default_rng(0)
    match inputs.kind:
        case "image":
            pixels = generator.random((batch, *inputs.shape)) * 255
            return tf.constant(pixels, tf.float32)
        case "vector":
            return tf.constant(generator.random((batch, *inputs.shape)), tf.float32)
        case "table":
            return _random_rows(inputs.columns, batch, generator)
        case _:
            raise _no_first_layers(inputs)


def _random_rows(
    columns: Sequence[Column], batch: int, generator: np.random.Generator
) -> dict[str, tf.Tensor]:
    numbers = [
        generator.integers(2, size=batch)
        if column.is_boolean
        else column.mean + column.std * generator.random(batch)
        for column in columns
        if not column.is_text
    ]
    texts = [
        generator.choice(column.vocabulary or ("",), batch)
        for column in columns
        if column.is_text
    ]
    rows: dict[str, tf.Tensor] = {}
    if numbers:
        rows["numbers"] = tf.constant(np.stack(numbers, 1), tf.float32)
    if texts:
        rows["texts"] = tf.constant(np.stack(texts, 1), tf.string)
    return rows


def require_images(flag: str, inputs: Inputs) -> None:
    """Refuses a flag that is for images where there are none.

    Raises:
        UserError: The inputs are no images.
    """
    if inputs.kind != "image":
        raise UserError(
            f"{flag} with {inputs.kind} inputs: expected images; leave it out"
        )
