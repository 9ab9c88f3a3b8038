"""Label sets: any number of several labels for each example.

In an array they are 0 and 1 [n,K]; in a table's column, names with `;` between them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from base.errors import UserError
from pipelines.features.class_label import ClassLabel, is_one_hot, numbers_here
from pipelines.features.targets import Recognized, TargetFeature

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import tensorflow as tf

SEPARATOR = ";"


@dataclasses.dataclass(frozen=True)
class LabelSet(TargetFeature):
    """The labels of an example: 0 or 1 for each, [labels].

    Stored as uint8, float32 in a batch.

    Attributes:
        names: of the labels, by number.
    """

    names: tuple[str, ...]

    kind: ClassVar[str] = "label_set"
    field: ClassVar[str] = "labels"
    task: ClassVar[str] = "multilabel"
    plural: ClassVar[str] = "sets of labels"

    @property
    def part_names(self) -> tuple[str, ...]:
        """The labels."""
        return self.names

    @classmethod
    def of_arrays(
        cls, name: str, parts: "Mapping[str, np.ndarray]", names: "np.ndarray | None"
    ) -> Recognized | None:
        """Integers or booleans 0 and 1 [n,K]; not where each row holds exactly one 1.

        Of no labels at all, or one, `ClassLabel` says what is wrong.
        """
        import numpy as np

        widths = {v.shape[1] if v.ndim == 2 else 0 for v in parts.values()}
        integers = all(values.dtype.kind in "iub" for values in parts.values())
        if not integers or len(widths) > 1 or min(widths) < 2:
            return None
        if not all(((v == 0) | (v == 1)).all() for v in parts.values()):
            return None
        if all(map(is_one_hot, parts.values())):
            return None
        (width,) = widths
        labels = names if names is not None else np.arange(width)
        if len(labels) != width:
            raise UserError(
                f"{name}: targets have {width} columns, but `classes` names "
                f"{len(labels)}; expected a name for each."
            )
        values = np.concatenate([*parts.values()]).astype(np.uint8)
        note = (
            f"{' and '.join(parts)} hold 0 and 1 [n,{width}]: taken for sets of labels"
        )
        return Recognized(cls(tuple(str(one) for one in labels)), values, note)

    @classmethod
    def of_tfds(
        cls, name: str, feature: Any, values: "Sequence[np.ndarray]"
    ) -> Recognized | None:
        """What TFDS has as a sequence of its ClassLabel."""
        import tensorflow_datasets as tfds

        if not isinstance(feature, tfds.features.Sequence) or not isinstance(
            feature.feature, tfds.features.ClassLabel
        ):
            return None
        names = tuple(feature.feature.names)
        return Recognized(cls(names), _marked(values, len(names)))

    @classmethod
    def recognizes_column(cls, column: "pa.ChunkedArray") -> bool:
        """Texts of which some have a `;` between names."""
        import pyarrow as pa
        import pyarrow.compute

        from pipelines.features.category import is_text

        if not is_text(column.type):
            return False
        texts = column.cast(pa.string())
        between = pyarrow.compute.match_substring_regex(texts, r"[^;\s]\s*;\s*[^;\s]")
        return bool(pyarrow.compute.any(between).as_py())

    @classmethod
    def missing_in(cls, column: "pa.ChunkedArray") -> "np.ndarray":
        """None: an empty cell is a set of no labels."""
        import numpy as np

        return np.zeros(len(column), np.bool_)

    @classmethod
    def of_column(cls, name: str, column: "pa.ChunkedArray", target: str) -> Recognized:
        """Sets of the names that stand between `;`; an empty cell is one of none."""
        from pipelines.features.category import is_text

        if not is_text(column.type):
            raise UserError(
                f"{name}: the target {target!r} holds {column.type}; expected texts, "
                f"labels with {SEPARATOR} between them."
            )
        found = [_split(text) for text in column.to_pylist()]
        names = tuple(sorted(set().union(*found)))
        number_of = {label: number for number, label in enumerate(names)}
        values = _marked(
            [[number_of[label] for label in labels] for labels in found], len(names)
        )
        empty = sum(not labels for labels in found)
        note = (
            f"{target!r} holds names with {SEPARATOR} between them: taken for sets of "
            f"{len(names)} labels"
        ) + (f"; {empty} rows have none of them" if empty else "")
        return Recognized(cls(names), values, note)

    def batch_spec(self) -> "tf.TensorSpec":
        """float32 [None, labels]."""
        import tensorflow as tf

        return tf.TensorSpec([None, len(self.names)], tf.float32)

    def prepare(self, values: Any) -> "tf.Tensor":
        """As float32."""
        import tensorflow as tf

        return tf.cast(values, tf.float32)

    def mixed(self, values: "tf.Tensor") -> "tf.Tensor":
        """A label of one of two mixed examples has that one's share: as they are."""
        return values

    def strata(self, values: "np.ndarray") -> "np.ndarray":
        """The rarest label of each example; one more number for those without any.

        So a rare label is in every split, as far as there are examples of it, which
        is how stratification of sets begins (Sechidis et al. 2011, ECML PKDD).
        """
        import numpy as np

        rarity = np.argsort(np.argsort(values.sum(0, dtype=np.int64), kind="stable"))
        ranks = np.where(values > 0, rarity, len(self.names))
        return ranks.min(1).astype(np.int64)

    def summary(self, values: "np.ndarray") -> dict[str, Any]:
        """How many examples have each label, and how many have none."""
        counts = values.sum(0, dtype="int64").tolist()
        return {
            "labels": dict(zip(self.names, counts, strict=True)),
            "without_labels": int((values.sum(1) == 0).sum()),
        }

    def accepts(self, found: TargetFeature) -> bool:
        """Sets, and classes, which are sets of one."""
        return isinstance(found, LabelSet | ClassLabel)

    def take_over(
        self, found: TargetFeature, values: "np.ndarray", name: str
    ) -> "np.ndarray":
        """The same labels, by their numbers here."""
        import numpy as np

        numbers = numbers_here(found.part_names, self.names, "label", name)
        if isinstance(found, ClassLabel):
            values = np.eye(len(found.classes), dtype=np.uint8)[values]
        renumbered = np.zeros((len(values), len(self.names)), np.uint8)
        renumbered[:, numbers] = values
        return renumbered

    def serialize(self, value: "np.ndarray") -> "tf.train.Feature":
        """The numbers of the labels that it has."""
        import numpy as np
        import tensorflow as tf

        numbers = np.flatnonzero(value).tolist()
        return tf.train.Feature(int64_list=tf.train.Int64List(value=numbers))

    def parse(self, stored: "tf.train.Feature") -> "np.ndarray":
        """uint8 [labels]."""
        return _marked([list(stored.int64_list.value)], len(self.names))[0]

    def tfds_feature(self) -> Any:
        """TFDS' own sequence of ClassLabel."""
        import tensorflow_datasets as tfds

        return tfds.features.Sequence(tfds.features.ClassLabel(names=list(self.names)))

    def record_key(self, value: "np.ndarray") -> bytes:
        """The set."""
        return value.tobytes()


def _split(text: str | None) -> set[str]:
    """The names in a cell."""
    return {part.strip() for part in (text or "").split(SEPARATOR)} - {""}


def _marked(numbers: "Sequence[Any]", labels: int) -> "np.ndarray":
    """0 and 1 of label numbers of each example: uint8 [n, labels]."""
    import numpy as np

    values = np.zeros((len(numbers), labels), np.uint8)
    for row, own in zip(values, numbers, strict=True):
        row[np.asarray(own, np.int64)] = 1
    return values
