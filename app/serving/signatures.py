"""The graph that serves: raw bytes, pixels or rows in, probabilities and labels out.

Decoding and resizing are `pipelines.preprocessing`, which training and evaluation use;
rescaling, and the encoding of a table's columns, are the model's own first layers.
There is no second copy to go wrong.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from app.serving import columns, limits
from app.serving.columns import ServedColumn
from base.errors import UserError
from pipelines import preprocessing
from pipelines.features import Features

DEFAULT = "serving_default"
_LONGEST_NAME = 200
Answers = dict[str, tf.Tensor]
Inputs = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Contract:
    """What the graph accepts and answers.

    Attributes:
      features: of the examples the model was trained on.
      max_pixels: a larger image is refused before it is decoded.
      temperature: logits are divided by it.
      columns: of a table, as they are served.
    """

    features: Features
    max_pixels: int
    temperature: float = 1.0
    columns: tuple[ServedColumn, ...] = ()

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example: (H, W, C), or (F,)."""
        return tuple(side or 0 for side in self.features.shape)

    @property
    def raw_signature(self) -> str:
        """The signature that takes examples as the model does, decoded."""
        names = {"image": "pixels", "vector": DEFAULT, "table": "rows"}
        return names[self.features.kind]

    @property
    def raw_inputs(self) -> dict[str, tf.TensorSpec]:
        """What that signature takes, by name.

        Images: `pixels` uint8 [None, H, W, C]. Vectors: `features` float32 [None, F].
        Tables: `numbers` float32 [None, N] and `texts` string [None, T], as there are
        columns of these kinds.
        """
        if self.features.kind == "table":
            kinds = [column.kind for column in self.features.columns]
            texts = kinds.count("categorical")
            widths = {"numbers": len(kinds) - texts, "texts": texts}
            types = {"numbers": tf.float32, "texts": tf.string}
            return {
                part: tf.TensorSpec([None, width], types[part], name=part)
                for part, width in widths.items()
                if width
            }
        is_image = self.features.kind == "image"
        name = "pixels" if is_image else "features"
        dtype = tf.uint8 if is_image else tf.float32
        return {name: tf.TensorSpec([None, *self.example_shape], dtype, name=name)}

    @property
    def encoded(self) -> tuple[str, str] | None:
        """The signature that takes serialized examples, and its input's name."""
        names = {
            "image": (DEFAULT, "image_bytes"),
            "table": ("tf_example", "example_bytes"),
        }
        return names.get(self.features.kind)

    @property
    def signatures(self) -> dict[str, dict[str, tf.TensorSpec]]:
        """What each signature of the SavedModel takes, by name."""
        found = {self.raw_signature: self.raw_inputs}
        if self.features.kind == "table":
            found[DEFAULT] = columns.specs(self.columns)
        if self.encoded:
            signature, name = self.encoded
            found[signature] = {name: tf.TensorSpec([None], tf.string, name=name)}
        return found

    def named(self, examples: Any) -> dict[str, Any]:
        """Decoded examples, as a dataset gives them, by the raw inputs' names."""
        if self.features.kind == "table":
            return dict(examples)
        return dict.fromkeys(self.raw_inputs, examples)


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
        image_bytes = limits.require_rows(image_bytes, "image_bytes")
        return tf.map_fn(
            decode_row,
            (image_bytes, tf.range(tf.size(image_bytes))),
            fn_output_signature=tf.TensorSpec((height, width, channels), tf.uint8),
        )


def as_inputs(given: Inputs) -> Any:
    """Raw inputs as the model takes them: float32 tensors, or a table's rows."""
    if "numbers" in given or "texts" in given:
        return dict(given)
    (examples,) = given.values()
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

    def answers(self, given: Inputs) -> Answers:
        """What is told of raw inputs, as `answers_of` gives it, and `label`."""
        outputs = self._forward(as_inputs(given))
        answers = answers_of(outputs, self._contract)
        if self._labels is not None:
            answers["label"] = self._labels.lookup(answers["class_id"])
        return answers

    def raw_function(self) -> Any:
        """A function of tensors from raw inputs to answers."""
        return _concrete(self.answers, self._contract.raw_inputs)

    def save(self, path: pathlib.Path, labels: pathlib.Path | None) -> None:
        """Writes a SavedModel with all signatures.

        Args:
          path: its folder.
          labels: a file of a class's name a line, which becomes an asset.
        """
        if labels is not None:
            self._asset = tf.saved_model.Asset(str(labels))
            self._labels = _lookup_table(self._asset)
        self._functions = {
            name: _concrete(self._answering(name), specs)
            for name, specs in self._contract.signatures.items()
        }
        tf.saved_model.save(self, str(path), signatures=self._functions)

    def _answering(self, signature: str) -> Callable[[Inputs], Answers]:
        """What a signature does with its inputs."""
        contract = self._contract
        if signature == contract.raw_signature:
            return self._checked_answers
        if contract.features.kind == "image":
            return lambda given: self.answers(
                {"pixels": decode(given["image_bytes"], contract)}
            )
        if signature == DEFAULT:
            return lambda given: self.answers(columns.rows_of(contract.columns, given))
        return lambda given: self.answers(
            columns.parse(contract.columns, given["example_bytes"])
        )

    def _checked_answers(self, given: Inputs) -> Answers:
        """The answers, or an error that names the input where its shape is wrong.

        Nothing but the graph checks it in a server: a network that pools over the
        whole image would answer for any size.
        """
        checked = {}
        for name, spec in self._contract.raw_inputs.items():
            with tf.name_scope(name):
                checked[name] = tf.ensure_shape(given[name], spec.shape)
                if self._contract.features.kind == "image":
                    checked[name] = limits.require_rows(checked[name], name)
        return self.answers(checked)

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


def _concrete(
    function: Callable[[Inputs], Answers], specs: Mapping[str, tf.TensorSpec]
) -> Any:
    """A function of tensors by the names in `specs`."""

    def named(**given: tf.Tensor) -> Answers:
        return function(given)

    # AutoGraph would only take its time to translate Keras.
    concrete = tf.function(named, autograph=False).get_concrete_function(**specs)
    # TensorFlow's own errors, of a wrong type for example, give an input by its number,
    # and the signature by this name.
    concrete.__name__ = "_".join(specs)[:_LONGEST_NAME]
    return concrete
