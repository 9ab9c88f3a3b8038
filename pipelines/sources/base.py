"""The interface that every source gives: random access to raw examples."""

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipelines.features import Features

if TYPE_CHECKING:
    import tensorflow as tf

SPLITS = ("train", "validation", "test")


class Source(abc.ABC):
    """Random access to raw examples, by index from 0 to len(source) - 1.

    A raw example is what the container holds: an encoded image (bytes), an array, or
    a row of a table (a dict of columns). Which one, `encoding` says; the rest of the
    room depends on nothing else about a source. A source has an order of its own that
    does not depend on the file system: by name where examples have names, else as
    they stand. Splits, order and batches are made of indices into it.

    Attributes:
        name: what the user asked for, for messages and dataset.json.
        features: what examples are; heights and widths are None where they differ.
        encoding: `image` (bytes of an encoded image), `array` (arrays of
            `features.shape`) or `row` (a dict of columns).
        targets: int64 [n] class indices, or float32 [n, features.targets].
        given_splits: indices of the splits that the source itself makes, by name
            (`train`, `validation`, `test`); empty where it makes none.
        weights: float32 [n], how much each example counts in the training; None where
            the source does not say.
        left_out: a line for each example that cannot be used, which names it.
        usable: indices of the examples that can be used, where not all of them can.
        notes: further facts for dataset.json, such as ignored files.
        native: whether `lookup` consists of TensorFlow's own operations, as a worker
            of a parameter server needs; otherwise it calls Python.
        batched: whether `lookup` wants a vector of indices (as a reader of batches
            is faster), rather than one index after the other.
    """

    name: str
    features: Features
    encoding: Literal["image", "array", "row"]
    targets: np.ndarray
    given_splits: Mapping[str, np.ndarray]
    weights: np.ndarray | None = None
    left_out: Sequence[str] = ()
    usable: np.ndarray | None = None
    notes: Mapping[str, Any] = {}
    native: bool = False
    batched: bool = True

    def __len__(self) -> int:
        return len(self.targets)

    def examine(self, max_pixels: int, allowed: int = 0) -> None:  # noqa: B027
        """Looks at every example before any is used; nothing by default.

        After it `features.shape` is as complete as the contents allow, and of up to
        `allowed` examples that cannot be used `left_out` and `usable` tell.

        Raises:
            UserError: an example more cannot be used, named by `describe`.
        """

    @abc.abstractmethod
    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each raw example: uint8 [n, 32]."""

    @abc.abstractmethod
    def read(self, indices: np.ndarray) -> Sequence[Any] | np.ndarray | dict[str, Any]:
        """The raw examples at `indices` (int64 [k]), read in Python.

        Encoded images as a list of bytes, arrays stacked [k, …], rows as a dict of
        columns [k].
        """

    def each(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        """The arrays at `indices` (int64 [k]), one after the other, read in Python.

        Where `encoding` is `array`. One may be overwritten by the next.
        """
        yield from self.read(indices)  # type: ignore[misc]

    @abc.abstractmethod
    def lookup(self, indices: "tf.Tensor") -> Any:
        """The raw examples at `indices` as tensors, for use inside a graph.

        `indices` is int64, [k] where the source is `batched` and [] where not. The
        result has the shape of `indices` before that of an example: string for
        encoded images, the array's dtype for arrays, a dict of tensors for rows.
        """

    @abc.abstractmethod
    def describe(self, index: int) -> str:
        """What names the example to a user: its path, or the file and offset."""
