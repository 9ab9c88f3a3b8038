"""What features that are learnt answer, beyond what all do."""

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from base.errors import UserError
from pipelines.features.base import Feature

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import tensorflow as tf


class Recognized(NamedTuple):
    """Targets as they were found.

    Attributes:
        feature: what they are.
        values: of all examples, as `feature` stores them.
        note: what they were taken for, where they might have been meant otherwise.
    """

    feature: "TargetFeature"
    values: "np.ndarray"
    note: str = ""


class TargetFeature(Feature):
    """What is to be learnt of an example.

    Attributes:
        task: name of the task that it is learnt by, unless the user says otherwise.
        plural: what a source has, for messages: "classes", "values", …
    """

    task: ClassVar[str]
    plural: ClassVar[str]

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names that a file of arrays keeps beside the targets; () for none."""
        return ()

    @property
    def width(self) -> int:
        """How many numbers a model owes for it."""
        return len(self.part_names)

    @classmethod
    def of_arrays(
        cls, name: str, parts: "Mapping[str, np.ndarray]", names: "np.ndarray | None"
    ) -> Recognized | None:
        """Targets of all splits of a file, or None where they are no such.

        Args:
            name: of the file.
            parts: targets by array's name, [n, …].
            names: of the classes or labels 0, 1, …, if the file has them.

        Raises:
            UserError: they are such, and damaged.
        """
        del name, parts, names
        return None

    @classmethod
    def of_tfds(
        cls, name: str, feature: Any, values: "Sequence[np.ndarray]"
    ) -> Recognized | None:
        """Targets that TFDS itself says are such, or None.

        Args:
            name: of the target.
            feature: as TFDS describes it.
            values: of each record.

        Raises:
            UserError: they are such, and some are missing.
        """
        del name, feature, values
        return None

    @classmethod
    def recognizes_column(cls, column: "pa.ChunkedArray") -> bool:
        """Whether a table's column holds such targets, if the user does not say."""
        del column
        return False

    @classmethod
    def missing_in(cls, column: "pa.ChunkedArray") -> "np.ndarray":
        """Which rows of a table's column have no target: bool [n]."""
        missing: np.ndarray = column.is_null(nan_is_null=True).to_numpy()
        return missing

    @classmethod
    def of_column(cls, name: str, column: "pa.ChunkedArray", target: str) -> Recognized:
        """Targets in a table's column, none of which is missing.

        Args:
            name: of the table.
            column: its values.
            target: its name.

        Raises:
            UserError: it holds no such targets.
        """
        raise UserError(
            f"{name}: the column {target!r} cannot hold {cls.plural}; name another "
            "one by --target."
        )

    def strata(self, values: "np.ndarray") -> "np.ndarray | None":
        """Numbers int64 [n], each of which is to be in every split alike, or None."""
        del values
        return None

    @abc.abstractmethod
    def summary(self, values: "np.ndarray") -> dict[str, Any]:
        """What dataset.json says of a split's targets: plain JSON values."""

    def statistics(self, values: "np.ndarray") -> dict[str, Any]:
        """What models need to know of the training split's: plain JSON values."""
        del values
        return {}

    def balance(self, values: "np.ndarray", flag: str, name: str) -> "np.ndarray":
        """Numbers int64 [n], each of which is to come equally often.

        Raises:
            UserError: there is nothing to balance.
        """
        raise self.no_classes(flag, name)

    def class_weights(
        self, asked: str, values: "np.ndarray", name: str
    ) -> "TargetWeights":
        """How much each class counts, by `--class_weights`.

        Args:
            asked: the flag's value.
            values: of the training split.
            name: of the source.

        Raises:
            UserError: there are no classes, or none of a name.
        """
        raise self.no_classes(f"--class_weights={asked}", name)

    @abc.abstractmethod
    def take_over(
        self, found: "TargetFeature", values: "np.ndarray", name: str
    ) -> "np.ndarray":
        """Targets of other data, numbered as here.

        Args:
            found: the feature of the other data, of a kind that `accepts` takes.
            values: its targets.
            name: of its source.

        Raises:
            UserError: some are unknown here.
        """

    def accepts(self, found: "TargetFeature") -> bool:
        """Whether other data's targets can be taken for these at all."""
        return isinstance(found, type(self))

    def folder_names(self, name: str) -> tuple[str, ...]:
        """Names of the folders that examples of each class go into, by its number.

        Raises:
            UserError: no folder says what these targets are.
        """
        raise UserError(
            f"--format=tar keeps examples in a folder a class, and {name} has "
            f"{self.plural}; name another format."
        )

    @abc.abstractmethod
    def tfds_feature(self) -> Any:
        """What TFDS is told of it."""

    @abc.abstractmethod
    def record_key(self, value: Any) -> Any:
        """Equal for values that take the same bytes, hashable."""

    def no_classes(self, flag: str, name: str) -> UserError:
        """The error for a flag that concerns classes alone."""
        return UserError(
            f"{flag}: {name} has no classes but {self.plural}; leave it out."
        )


class TargetWeights(abc.ABC):
    """How much targets count in the loss."""

    @abc.abstractmethod
    def scaled(self, factor: float) -> "TargetWeights":
        """The same, divided by `factor`, as float32."""

    @abc.abstractmethod
    def of(self, values: "np.ndarray") -> "np.ndarray":
        """The weight of each of stored targets: [n]."""

    @abc.abstractmethod
    def of_mixed(self, labels: "tf.Tensor") -> "tf.Tensor":
        """The weight of each of a batch's labels that mixup mixed: float32 [B]."""

    @abc.abstractmethod
    def by_name(self) -> dict[str, float]:
        """The weights by what they are of."""
