"""The graph that serves: raw bytes or pixels in, probabilities and labels out.

Decoding and resizing are `pipelines.preprocessing`, which training and evaluation use;
rescaling is the model's own first layer. There is no second copy to go wrong.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from app.errors import UserError
from app.serving import limits
from pipelines import preprocessing
from pipelines.features import Features

DEFAULT = "serving_default"
Answers = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Contract:
    """What the graph accepts and answers.

    Attributes:
      features: of the examples the model was trained on.
      max_pixels: a larger image is refused before it is decoded.
      temperature: logits are divided by it.
    """

    features: Features
    max_pixels: int
    temperature: float = 1.0

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example: (H, W, C), or (F,)."""
        return tuple(side or 0 for side in self.features.shape)

    @property
    def raw_signature(self) -> str:
        """The signature that takes examples as the model does, decoded."""
        return "pixels" if self.features.kind == "image" else DEFAULT

    @property
    def raw_input(self) -> tf.TensorSpec:
        """What that signature takes: uint8 [None, H, W, C], or float32 [None, F]."""
        is_image = self.features.kind == "image"
        return tf.TensorSpec(
            [None, *self.example_shape],
            tf.uint8 if is_image else tf.float32,
            name="pixels" if is_image else "features",
        )


def answers_of(outputs: tf.Tensor, contract: Contract) -> Answers:
    """What is told of a model's outputs, float32 [B, size].

    Classification: `probabilities` float32 [B, classes], `class_id` int64 [B].
    Regression: `value` float32 [B], or [B, targets] where there are more than one.
    """
    if contract.features.task == "regression":
        single = contract.features.targets == 1
        return {"value": tf.squeeze(outputs, 1) if single else outputs}
    # Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2
    probabilities = tf.nn.softmax(outputs / contract.temperature)
    return {"probabilities": probabilities, "class_id": tf.argmax(outputs, axis=-1)}


def decode(image_bytes: tf.Tensor, contract: Contract) -> tf.Tensor:
    """Decodes and resizes encoded images, string [B]: uint8 [B, H, W, C].

    Raises:
      tf.errors.InvalidArgumentError: when run, for bytes that are no image or too
        large an image; names the input.
    """
    height, width, channels = contract.example_shape

    def decode_row(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        contents = limits.require_decodable(*row, contract.max_pixels)
        return preprocessing.prepare_image(contents, (height, width, channels))

    with tf.name_scope("image_bytes"):
        return tf.map_fn(
            decode_row,
            (image_bytes, tf.range(tf.size(image_bytes))),
            fn_output_signature=tf.TensorSpec((height, width, channels), tf.uint8),
        )


def as_inputs(examples: tf.Tensor) -> tf.Tensor:
    """Decoded examples as the model takes them: float32, pixels from 0 to 255."""
    return tf.cast(examples, tf.float32)


class Server(tf.Module):
    """A model with the signatures that it serves by.

    Args:
      model: built; its weights are tracked, and nothing else of it.
      contract: what is accepted and answered.
    """

    def __init__(self, model: keras.Model, contract: Contract) -> None:
        super().__init__(name="server")
        self._contract = contract
        self._weights = [variable.value for variable in model.variables]
        # In a function, so that TensorFlow does not track Keras' objects, too.
        self._forward = lambda inputs: model(inputs, training=False)
        self._labels: tf.lookup.StaticHashTable | None = None

    def answers(self, examples: tf.Tensor) -> Answers:
        """What is told of decoded examples, as `answers_of` gives it, and `label`."""
        outputs = self._forward(as_inputs(examples))
        answers = answers_of(outputs, self._contract)
        if self._labels is not None:
            answers["label"] = self._labels.lookup(answers["class_id"])
        return answers

    def raw_function(self) -> Any:
        """A tf.function from decoded examples to answers."""
        spec = self._contract.raw_input
        return _named_function(self.answers, spec)

    def bytes_function(self) -> Any:
        """A tf.function from encoded images, string [None], to answers."""
        return _named_function(
            lambda image_bytes: self.answers(decode(image_bytes, self._contract)),
            tf.TensorSpec([None], tf.string, name="image_bytes"),
        )

    def save(self, path: pathlib.Path, labels: pathlib.Path | None) -> None:
        """Writes a SavedModel with all signatures.

        Args:
          path: its folder.
          labels: a file of a class's name a line, which becomes an asset.
        """
        if labels is not None:
            self._asset = tf.saved_model.Asset(str(labels))
            self._labels = _lookup_table(self._asset)
        raw = _named_function(self._checked_answers, self._contract.raw_input)
        functions = {self._contract.raw_signature: raw}
        if self._contract.features.kind == "image":
            functions[DEFAULT] = self.bytes_function()
        self._functions = functions
        tf.saved_model.save(self, str(path), signatures=functions)

    def _checked_answers(self, examples: tf.Tensor) -> Answers:
        """The answers, or an error that names the input where its shape is wrong.

        Nothing but the graph checks it in a server: a network that pools over the
        whole image would answer for any size.
        """
        raw = self._contract.raw_input
        with tf.name_scope(raw.name):
            examples = tf.ensure_shape(examples, raw.shape)
        return self.answers(examples)

    def save_raw(self, path: pathlib.Path) -> None:
        """Writes a SavedModel of the raw signature alone, for conversion to LiteRT."""
        function = self.raw_function()
        self._functions = {self._contract.raw_signature: function}
        tf.saved_model.save(self, str(path), signatures=self._functions)


def write_labels(path: pathlib.Path, classes: tuple[str, ...]) -> None:
    """Writes a class's name a line, in the order of `class_id`.

    Raises:
      UserError: a name has a line break in it.
    """
    for name in classes:
        if "\n" in name or "\r" in name:
            raise UserError(
                f"the class {name!r} has a line break in its name, which a file of"
                " labels cannot hold; rename it and train again"
            )
    path.write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")


def _lookup_table(asset: tf.saved_model.Asset) -> tf.lookup.StaticHashTable:
    initializer = tf.lookup.TextFileInitializer(
        asset.asset_path,
        key_dtype=tf.int64,
        key_index=tf.lookup.TextFileIndex.LINE_NUMBER,
        value_dtype=tf.string,
        value_index=tf.lookup.TextFileIndex.WHOLE_LINE,
    )
    return tf.lookup.StaticHashTable(initializer, default_value="")


def _named_function(
    function: Callable[[tf.Tensor], Answers], spec: tf.TensorSpec
) -> Any:
    """A tf.function of one input, which signatures call by the name in `spec`."""

    def named(given: tf.Tensor) -> Answers:
        return function(given)

    # TensorFlow's own errors, of a wrong type for example, give the function's name.
    named.__name__ = spec.name
    # AutoGraph would only take its time to translate Keras.
    return tf.function(named, input_signature=[spec], autograph=False)
