"""Class labels: one of several classes, int64."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from base.errors import UserError, did_you_mean
from pipelines.config import BALANCED, parse_class_weights
from pipelines.features.targets import Recognized, TargetFeature, TargetWeights

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import tensorflow as tf

_LISTED = 20


@dataclasses.dataclass(frozen=True)
class ClassLabel(TargetFeature):
    """The class of an example: int64, stored and in a batch.

    Attributes:
        classes: their names, by number.
    """

    classes: tuple[str, ...]

    kind: ClassVar[str] = "class_label"
    field: ClassVar[str] = "label"
    task: ClassVar[str] = "classification"
    plural: ClassVar[str] = "classes"

    @property
    def part_names(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @classmethod
    def of_arrays(
        cls, name: str, parts: "Mapping[str, np.ndarray]", names: "np.ndarray | None"
    ) -> Recognized | None:
        """Integers [n] or [n,1]; or 0 and 1 [n,K], if each row holds exactly one 1."""
        import numpy as np

        if not all(values.dtype.kind in "iub" for values in parts.values()):
            return None
        note = ""
        widths = {values.shape[1:] for values in parts.values()}
        if one_hot := len(widths) == 1 and all(map(is_one_hot, parts.values())):
            note = (
                f"{' and '.join(parts)} hold 0 and 1, exactly one 1 in each row: taken "
                "for classes, each row's is the column of its 1"
            )
        elif not all(values.ndim in (1, 2) for values in parts.values()):
            return None
        found = np.concatenate(
            [
                values.argmax(1) if one_hot else _numbers(name, array, values)
                for array, values in parts.items()
            ]
        ).astype(np.int64)
        if one_hot and names is None:
            width = next(iter(parts.values())).shape[1]
            names = np.array([str(number) for number in range(width)])
        return _named(name, found, names)._replace(note=note)

    @classmethod
    def of_tfds(
        cls, name: str, feature: Any, values: "Sequence[np.ndarray]"
    ) -> Recognized | None:
        """What TFDS has as its ClassLabel."""
        import numpy as np
        import tensorflow_datasets as tfds

        if not isinstance(feature, tfds.features.ClassLabel):
            return None
        return _named(name, np.stack(values).astype(np.int64), np.array(feature.names))

    @classmethod
    def recognizes_column(cls, column: "pa.ChunkedArray") -> bool:
        """Texts, integers and booleans, dates too: all but reals."""
        from pyarrow import types

        return not (types.is_floating(column.type) or types.is_decimal(column.type))

    @classmethod
    def of_column(cls, name: str, column: "pa.ChunkedArray", target: str) -> Recognized:
        """Each value is a class."""
        import numpy as np

        found, numbers = np.unique(np.array(column.to_pylist()), return_inverse=True)
        if len(found) < 2:
            raise UserError(
                f"{name}: the target {target!r} is {found[0]} in all rows; expected "
                "two or more classes."
            )
        classes = tuple(str(value) for value in found)
        return Recognized(cls(classes), numbers.astype(np.int64))

    def batch_spec(self) -> "tf.TensorSpec":
        """int64 [None]."""
        import tensorflow as tf

        return tf.TensorSpec([None], tf.int64)

    def mixed(self, values: "tf.Tensor") -> "tf.Tensor":
        """Shares of classes: float32 [B, classes]."""
        import tensorflow as tf

        return tf.one_hot(values, len(self.classes))

    def strata(self, values: "np.ndarray") -> "np.ndarray":
        """The classes."""
        return values

    def summary(self, values: "np.ndarray") -> dict[str, Any]:
        """How many examples there are of each class."""
        import numpy as np

        counts = np.bincount(values, minlength=len(self.classes)).tolist()
        return {"classes": dict(zip(self.classes, counts, strict=True))}

    def balance(self, values: "np.ndarray", flag: str, name: str) -> "np.ndarray":
        """The classes."""
        return values

    def class_weights(
        self, asked: str, values: "np.ndarray", name: str
    ) -> "ClassWeights":
        """`balanced`, or the named ones, and 1 for others.

        `balanced` is the mean number of examples of a class over the class's own, as in
        scikit-learn (King and Zeng 2001): all classes together weigh the same.
        """
        import numpy as np

        if asked == BALANCED:
            counts = np.bincount(values, minlength=len(self.classes))
            balanced = len(values) / (len(self.classes) * np.maximum(counts, 1.0))
            return ClassWeights(self.classes, balanced)
        weights = np.ones(len(self.classes))
        for label, weight in parse_class_weights(asked).items():
            if label not in self.classes:
                hint = did_you_mean(label, self.classes)
                raise UserError(
                    f"--class_weights={asked}: {name} has no class {label!r}{hint}. It "
                    f"has {', '.join(self.classes[:_LISTED])}."
                )
            weights[self.classes.index(label)] = weight
        return ClassWeights(self.classes, weights)

    def take_over(
        self, found: TargetFeature, values: "np.ndarray", name: str
    ) -> "np.ndarray":
        """The same classes, by their numbers here."""
        import numpy as np

        assert isinstance(found, ClassLabel)  # as `accepts` has it
        numbers = numbers_here(found.classes, self.classes, "class", name)
        return numbers[values].astype(np.int64)

    def folder_names(self, name: str) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    def serialize(self, value: Any) -> "tf.train.Feature":
        """The class's number."""
        import tensorflow as tf

        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))

    def parse(self, stored: "tf.train.Feature") -> int:
        """The class's number."""
        (number,) = stored.int64_list.value
        return int(number)

    def tfds_feature(self) -> Any:
        """TFDS' own ClassLabel."""
        import tensorflow_datasets as tfds

        return tfds.features.ClassLabel(names=list(self.classes))

    def record_key(self, value: Any) -> int:
        """The class."""
        return int(value)


@dataclasses.dataclass(frozen=True)
class ClassWeights(TargetWeights):
    """Weights of classes.

    Attributes:
        classes: their names.
        weights: float64 or float32 [classes].
    """

    classes: tuple[str, ...]
    weights: "np.ndarray"

    def scaled(self, factor: float) -> "ClassWeights":
        """Divided by `factor`: float32."""
        return ClassWeights(self.classes, (self.weights / factor).astype("float32"))

    def of(self, values: "np.ndarray") -> "np.ndarray":
        """The weights of classes [n]."""
        found: np.ndarray = self.weights[values]
        return found

    def of_mixed(self, labels: "tf.Tensor") -> "tf.Tensor":
        """Of shares [B, classes]: mixed as they are."""
        import tensorflow as tf

        return tf.linalg.matvec(labels, tf.constant(self.weights))

    def by_name(self) -> dict[str, float]:
        """By class."""
        values = [float(weight) for weight in self.weights]
        return dict(zip(self.classes, values, strict=True))


def numbers_here(
    found: Sequence[str], known: Sequence[str], word: str, name: str
) -> "np.ndarray":
    """The numbers in `known` of the names in `found`: int64.

    Raises:
        UserError: one is not known.
    """
    import numpy as np

    unknown = [one for one in found if one not in known]
    if unknown:
        raise UserError(
            f"{name} has the {word} {unknown[0]!r}, which the run was not trained on; "
            f"expected {', '.join(known[:_LISTED])}."
        )
    return np.array([known.index(one) for one in found], np.int64)


def is_one_hot(values: "np.ndarray") -> bool:
    """Whether integers [n,K] are 0 and 1, and exactly one of each row is 1."""
    if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "iub":
        return False
    return bool(((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all())


def _numbers(name: str, array: str, values: "np.ndarray") -> "np.ndarray":
    """Integers [n] of an array [n] or [n,1]."""
    if values.ndim == 2 and values.shape[1] != 1:
        raise UserError(
            f"{array} in {name} has {values.shape[1]} integers a row; expected one, "
            "the class's number, or 0 and 1 for each label."
        )
    return values.reshape(-1)


def _named(name: str, found: "np.ndarray", names: "np.ndarray | None") -> Recognized:
    """Classes of numbers; named by themselves where there are no names."""
    import numpy as np

    if names is None:
        numbers, found = np.unique(found, return_inverse=True)
        classes = tuple(str(number) for number in numbers)
    else:
        classes = tuple(str(text) for text in names)
        if len(found) and not (found.min() >= 0 and found.max() < len(classes)):
            raise UserError(
                f"{name}: targets go from {found.min()} to {found.max()}, but "
                f"`classes` names {len(classes)}; expected 0 to {len(classes) - 1}."
            )
    if len(classes) < 2:
        raise UserError(f"{name} has {len(classes)} class; expected two or more.")
    return Recognized(ClassLabel(classes), found.astype(np.int64))
