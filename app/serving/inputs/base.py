"""What every kind of input answers, so that no other file of serving asks which it is.

`ServedInput` is what a new kind gives; `ArrayInput` is what those share that come as
one array.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
import tensorflow as tf

from app.configs.training import PredictionConfig
from app.serving.inputs.columns import ServedColumn
from pipelines.dataset import Dataset
from pipelines.features import ExampleSpec

DEFAULT = "serving_default"
# Validation examples that are golden.
ORDINARY = 12
# By the inputs' names: tensors in a graph, arrays outside.
Given = Mapping[str, tf.Tensor]
Arrays = dict[str, np.ndarray]
Specs = dict[str, tf.TensorSpec]


class Signature(NamedTuple):
    """A signature beside the raw one.

    Attributes:
      specs: what it takes, by name.
      to_raw: graph code that makes the raw signature's inputs of that.
    """

    specs: Specs
    to_raw: Callable[[Given], Given]


class GoldenInputs(NamedTuple):
    """Inputs that every runtime has to answer.

    Attributes:
      names: n file names, by which a difference is reported.
      contents: n files' bytes for the `encoded` signature; empty where there is none.
      by_signature: all other inputs, [n, …], by signature and name.
    """

    names: tuple[str, ...]
    contents: tuple[bytes, ...]
    by_signature: dict[str, Arrays]


class ReadBatch(NamedTuple):
    """Examples of `predict --input`.

    Attributes:
      names: of each, for the CSV's first column.
      examples: decoded, as the raw signature takes them.
      skipped: how many were left out, and named.
    """

    names: list[str]
    examples: Any
    skipped: int = 0


@dataclasses.dataclass(frozen=True)
class ServedInput(abc.ABC):
    """What an export accepts, with everything that follows from its kind.

    A subclass gives the class attributes and the abstract methods.

    Attributes:
      features: of the examples the model was trained on.
      max_pixels: a larger image is refused before it is decoded.
      columns: of a table, as they are served.
      kind: the feature's name.
      raw_signature: the signature that takes examples as the model does, decoded.
      encoded: the signature that takes serialized examples, and its input's name.
      litert: what the model card says of LiteRT's input.
      golden_are: what the golden inputs are to people.
      example_column: heading of predict's first column.
      read_as: what `predict` counts.
    """

    features: ExampleSpec
    max_pixels: int
    columns: tuple[ServedColumn, ...] = ()
    kind: ClassVar[str]
    raw_signature: ClassVar[str]
    encoded: ClassVar[tuple[str, str] | None] = None
    litert: ClassVar[str]
    golden_are: ClassVar[str] = "rows"
    example_column: ClassVar[str]
    read_as: ClassVar[str]

    @classmethod
    def columns_of(cls, dataset: Dataset) -> tuple[ServedColumn, ...]:
        """The columns of a dataset as they are served; () of what has none."""
        del dataset
        return ()

    @property
    @abc.abstractmethod
    def raw_inputs(self) -> Specs:
        """What the raw signature takes, by name."""

    @property
    def further(self) -> dict[str, Signature]:
        """The signatures beside the raw one."""
        return {}

    @final
    @property
    def signatures(self) -> dict[str, Specs]:
        """What each signature of the SavedModel takes, by name."""
        further = {name: signature.specs for name, signature in self.further.items()}
        return {self.raw_signature: self.raw_inputs} | further

    @abc.abstractmethod
    def named(self, examples: Any) -> dict[str, Any]:
        """Decoded examples, as a dataset gives them, by the raw inputs' names."""

    def checked(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """A raw input once its shape is right, or an error: graph code.

        Nothing but the graph checks it in a server: a network that pools over the
        whole image would answer for any size.
        """
        return tf.ensure_shape(values, self.raw_inputs[name].shape)

    @abc.abstractmethod
    def as_inputs(self, given: Given) -> Any:
        """Raw inputs as the model takes them: the graph code of the export."""

    @abc.abstractmethod
    def as_trained(self, raw: Mapping[str, np.ndarray]) -> Any:
        """The same as training feeds them, by no function of the export.

        The gate judges the export by it.
        """

    @abc.abstractmethod
    def golden(self, dataset: Dataset) -> GoldenInputs:
        """Validation examples, and edge cases that are made of them."""

    @abc.abstractmethod
    def read(self, config: PredictionConfig, run: str) -> Iterator[ReadBatch]:
        """The examples that `predict --input` names, in order.

        Args:
          config: the flags.
          run: the folder of what predicts, for messages.

        Raises:
          UserError: they cannot be read, or no file holds such examples.
        """

    def limits(self) -> Iterator[str]:
        """What the model card warns of."""
        yield from ()


class ArrayInput(ServedInput):
    """One array an example, which the model takes as float32."""

    def named(self, examples: Any) -> dict[str, Any]:
        """The one input."""
        (name,) = self.raw_inputs
        return {name: examples}

    def as_inputs(self, given: Given) -> tf.Tensor:
        """float32 [B, …]."""
        (examples,) = given.values()
        return tf.cast(examples, tf.float32)

    def as_trained(self, raw: Mapping[str, np.ndarray]) -> tf.Tensor:
        """float32 [n, …]."""
        (examples,) = raw.values()
        return tf.constant(examples, tf.float32)


def first_positions(dataset: Dataset) -> range:
    """Positions of the validation examples that are golden."""
    return range(min(ORDINARY, dataset.split_sizes["validation"]))
