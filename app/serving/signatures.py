"""The graph that serves: raw bytes, pixels or rows in, what the task answers out.

What is taken is the input's own, see `inputs`; rescaling, and the encoding of a table's
columns, are the model's own first layers. There is no second copy to go wrong.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from app.serving.inputs.base import Given, ServedInput
from app.serving.inputs.columns import ServedColumn
from app.serving.inputs.registry import served_input
from base.errors import UserError
from models.tasks.base import Answers, AnswerSpec, Task
from pipelines.features import ExampleSpec

_LONGEST_NAME = 200


@dataclasses.dataclass(frozen=True)
class Contract:
    """What the graph accepts and answers.

    Attributes:
      features: of the examples the model was trained on.
      task: what it learnt, which says what is answered.
      max_pixels: a larger image is refused before it is decoded.
      temperature: logits are divided by it.
      columns: of a table, as they are served.
    """

    features: ExampleSpec
    task: Task
    max_pixels: int
    temperature: float = 1.0
    columns: tuple[ServedColumn, ...] = ()

    @functools.cached_property
    def input(self) -> ServedInput:
        """What is accepted.

        Raises:
          UserError: nothing serves examples of this kind.
        """
        return served_input(self.features, self.max_pixels, self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the model's outputs; () where they have none."""
        return self.task.outputs.names or self.features.target.part_names

    @property
    def named_answers(self) -> dict[str, str]:
        """Answers that are names: {name: the answer with the index}."""
        return self.task.named_answers() if self.names else {}

    @property
    def answer_specs(self) -> dict[str, AnswerSpec]:
        """What a SavedModel answers: as the task has it, and the names."""
        specs = self.task.answer_specs
        named = {
            name: AnswerSpec("string", specs[source].shape)
            for name, source in self.named_answers.items()
        }
        return specs | named


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

    def answers(self, given: Given) -> Answers:
        """What the task tells of raw inputs; with names once there is their file."""
        contract = self._contract
        outputs = self._forward(contract.input.as_inputs(given))
        answers = contract.task.answers(outputs, contract.temperature)
        _require_as_specified(answers, contract.task)
        if self._labels is not None:
            for name, source in contract.named_answers.items():
                answers[name] = self._labels.lookup(answers[source])
        return answers

    def raw_function(self) -> Any:
        """A function of tensors from raw inputs to answers."""
        return _concrete(self.answers, self._contract.input.raw_inputs)

    def save(self, path: pathlib.Path, labels: pathlib.Path | None) -> None:
        """Writes a SavedModel with all signatures.

        Args:
          path: its folder.
          labels: a file of an output's name a line, which becomes an asset.
        """
        if labels is not None:
            self._asset = tf.saved_model.Asset(str(labels))
            self._labels = _lookup_table(self._asset)
        self._functions = {
            name: _concrete(self._answering(name), specs)
            for name, specs in self._contract.input.signatures.items()
        }
        tf.saved_model.save(self, str(path), signatures=self._functions)

    def _answering(self, signature: str) -> Callable[[Given], Answers]:
        """What a signature does with its inputs."""
        if signature == self._contract.input.raw_signature:
            return self._checked_answers
        to_raw = self._contract.input.further[signature].to_raw
        return lambda given: self.answers(to_raw(given))

    def _checked_answers(self, given: Given) -> Answers:
        """The answers, or an error that names the input where its shape is wrong."""
        checked = {}
        for name in self._contract.input.raw_inputs:
            with tf.name_scope(name):
                checked[name] = self._contract.input.checked(name, given[name])
        return self.answers(checked)

    def save_raw(self, path: pathlib.Path) -> None:
        """Writes a SavedModel of the raw signature alone, for conversion to LiteRT."""
        function = self.raw_function()
        self._functions = {self._contract.input.raw_signature: function}
        tf.saved_model.save(self, str(path), signatures=self._functions)


def write_labels(path: pathlib.Path, names: tuple[str, ...]) -> None:
    """Writes an output's name a line, in the order of the outputs.

    Raises:
      UserError: a name has a line break in it.
    """
    for name in names:
        if "\n" in name or "\r" in name:
            raise UserError(
                f"the name {name!r} has a line break in it, which a file of labels"
                " cannot hold; rename it and train again"
            )
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _require_as_specified(answers: Answers, task: Task) -> None:
    """Raises UserError where a task answers otherwise than it says, to all who ask."""
    specs = task.answer_specs
    alike = answers.keys() == specs.keys() and all(
        answer.dtype.name == specs[name].dtype
        and answer.shape.is_compatible_with([None, *specs[name].shape])
        for name, answer in answers.items()
    )
    if not alike:
        received = {name: (a.dtype.name, a.shape) for name, a in answers.items()}
        expected = {name: (s.dtype, (None, *s.shape)) for name, s in specs.items()}
        raise UserError(
            f"the task {task.name} answers {_listed(received)}; expected what its"
            f" answer_specs say: {_listed(expected)}"
        )


def _listed(answers: Mapping[str, tuple[str, Sequence[int | None]]]) -> str:
    return ", ".join(
        f"{name} {dtype} {list(shape)}" for name, (dtype, shape) in answers.items()
    )


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
    function: Callable[[Given], Answers], specs: Mapping[str, tf.TensorSpec]
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
