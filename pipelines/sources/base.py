"""The interface that every source gives: random access to raw examples."""

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.features import ExampleSpec

SPLITS = ("train", "validation", "test")
# Among `notes`: what targets were taken for, where they could mean two things.
TAKEN_FOR = "taken_for"


class Source(abc.ABC):
    """Random access to raw examples, by index from 0 to len(source) - 1.

    An example is an input and a target, as `features` say; a source gives both as it
    stores them, at any indices: an input as encoded bytes, an array, or a row of a
    table (a dict of arrays). The rest of the room depends on nothing else about a
    source. A source has an order of its own that does not depend on the file system:
    by name where examples have names, else as they stand. Splits, order and batches
    are made of indices into it.

    Attributes:
        name: what the user asked for, for messages and dataset.json.
        features: what examples are; heights and widths are None where they differ.
        encoded: whether inputs are bytes that `features.input.decode` decodes.
        given_splits: indices of the splits that the source itself makes, by name
            (`train`, `validation`, `test`); empty where it makes none.
        weights: float32 [n], how much each example counts in the training; None where
            the source does not say.
        left_out: a line for each example that cannot be used, which names it.
        usable: indices of the examples that can be used, where not all of them can.
        notes: further facts for dataset.json, such as ignored files; what is told at
            the start, too, stands under `TAKEN_FOR`.
        native: whether `lookup` consists of TensorFlow's own operations, as a worker
            of a parameter server needs; otherwise it calls Python.
        batched: whether `lookup` wants a vector of indices (as a reader of batches
            is faster), rather than one index after the other.
    """

    name: str
    features: ExampleSpec
    encoded: bool = False
    given_splits: Mapping[str, np.ndarray]
    weights: np.ndarray | None = None
    left_out: Sequence[str] = ()
    usable: np.ndarray | None = None
    notes: Mapping[str, Any] = {}
    native: bool = False
    batched: bool = True

    @abc.abstractmethod
    def __len__(self) -> int: ...

    def examine(self, max_pixels: int, allowed: int = 0) -> None:  # noqa: B027
        """Looks at every example before any is used; nothing by default.

        After it the input's shape is as complete as the contents allow, and of up to
        `allowed` examples that cannot be used `left_out` and `usable` tell.

        Raises:
            UserError: an example more cannot be used, named by `describe`.
        """

    @abc.abstractmethod
    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each raw example: uint8 [n, 32]."""

    @abc.abstractmethod
    def read(self, indices: np.ndarray) -> Sequence[Any] | np.ndarray | dict[str, Any]:
        """The inputs at `indices` (int64 [k]), read in Python.

        Encoded ones as a list of bytes, arrays stacked [k, …], rows as a dict of
        arrays [k, …].
        """

    @abc.abstractmethod
    def read_targets(self, indices: np.ndarray) -> Any:
        """The targets at `indices` (int64 [k]), as `features.target` stores them."""

    def each(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        """The arrays at `indices` (int64 [k]), one after the other, read in Python.

        Where inputs are arrays. One may be overwritten by the next.
        """
        yield from self.read(indices)  # type: ignore[misc]

    @abc.abstractmethod
    def lookup(self, indices: tf.Tensor) -> Any:
        """The inputs at `indices` as tensors, for use inside a graph.

        `indices` is int64, [k] where the source is `batched` and [] where not. The
        result has the shape of `indices` before that of an example: string for
        encoded ones, the array's dtype for arrays, a dict of tensors for rows.
        """

    @abc.abstractmethod
    def lookup_targets(self, indices: tf.Tensor) -> Any:
        """The targets at `indices`, int64 [k], as tensors, for use inside a graph."""

    @abc.abstractmethod
    def take_over(self, wanted: ExampleSpec) -> None:
        """From now on gives targets as `wanted` numbers them.

        Raises:
            UserError: it has other classes, or examples of another kind.
        """

    @abc.abstractmethod
    def describe(self, index: int) -> str:
        """What names the example to a user: its path, or the file and offset."""


class TargetsInMemory(Source):
    """A source that has read all its targets, which takes little where they are small.

    A source of its own calls `hold_targets` before any is asked for.
    """

    _targets: np.ndarray
    _target_tensor: tf.Tensor

    def hold_targets(self, values: np.ndarray) -> None:
        """Keeps all targets, [n, …], as `features.target` stores them."""
        self._targets = values
        # A tensor, which every graph captures by reference: none embeds a copy.
        self._target_tensor = tf.constant(values)

    def __len__(self) -> int:
        return len(self._targets)

    def read_targets(self, indices: np.ndarray) -> np.ndarray:
        """The targets at `indices`: [k, …]."""
        return self._targets[indices]

    def lookup_targets(self, indices: tf.Tensor) -> tf.Tensor:
        """The targets at `indices` [k]: [k, …]."""
        return tf.gather(self._target_tensor, indices)

    def take_over(self, wanted: ExampleSpec) -> None:
        """From now on gives targets as `wanted` numbers them."""
        found = wanted.take_over(self.features, self._targets, self.name, self.encoded)
        self.hold_targets(found)
        self.features = dataclasses.replace(self.features, target=wanted.target)
