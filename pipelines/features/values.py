"""Values: numbers that are to be predicted, float32 [size]."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from base.errors import UserError
from pipelines.features.targets import Recognized, TargetFeature

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Values(TargetFeature):
    """Numbers: float32 [size], stored and in a batch.

    Attributes:
        size: how many to an example.
    """

    size: int = 1

    kind: ClassVar[str] = "values"
    field: ClassVar[str] = "target"
    task: ClassVar[str] = "regression"
    plural: ClassVar[str] = "values"

    @property
    def width(self) -> int:
        """As many as there are values."""
        return self.size

    @classmethod
    def of_arrays(
        cls, name: str, parts: "Mapping[str, np.ndarray]", names: "np.ndarray | None"
    ) -> Recognized | None:
        """Floats [n] or [n, size]."""
        import numpy as np

        if not all(v.dtype.kind == "f" and v.ndim in (1, 2) for v in parts.values()):
            return None
        widths = {v[:1].size if v.ndim == 2 else 1 for v in parts.values()}
        if len(widths) > 1 or 0 in widths:
            raise UserError(
                f"{name}: {', '.join(parts)} differ in their number of targets, or "
                "have none; expected the same."
            )
        (size,) = widths
        found = [v.reshape(-1, size).astype(np.float32) for v in parts.values()]
        for array, values in zip(parts, found, strict=True):
            bad = np.flatnonzero(~np.isfinite(values).all(1))
            if len(bad):
                raise UserError(
                    f"{array}[{bad[0]}] in {name} is not finite; replace or remove it."
                )
        values = np.concatenate(found)
        return Recognized(cls(size), values, _note(list(parts), values))

    @classmethod
    def recognizes_column(cls, column: "pa.ChunkedArray") -> bool:
        """Reals."""
        from pyarrow import types

        return bool(types.is_floating(column.type) or types.is_decimal(column.type))

    @classmethod
    def of_column(cls, name: str, column: "pa.ChunkedArray", target: str) -> Recognized:
        """One number a row."""
        import numpy as np
        import pyarrow as pa

        from pipelines.features.category import is_text

        if is_text(column.type):
            raise UserError(
                f"{name}: the target {target!r} holds texts; expected numbers."
            )
        values = column.cast(pa.float64()).to_numpy().astype(np.float32)[:, None]
        bad = np.flatnonzero(~np.isfinite(values[:, 0]))
        if len(bad):
            raise UserError(
                f"{name}, row {bad[0] + 1}: the target {target!r} is not finite."
            )
        return Recognized(cls(1), values)

    def batch_spec(self) -> "tf.TensorSpec":
        """float32 [None, size]."""
        import tensorflow as tf

        return tf.TensorSpec([None, self.size], tf.float32)

    def mixed(self, values: "tf.Tensor") -> "tf.Tensor":
        """As they are."""
        return values

    def summary(self, values: "np.ndarray") -> dict[str, Any]:
        """Nothing: what training needs to know of them is in `statistics`."""
        return {}

    def statistics(self, values: "np.ndarray") -> dict[str, Any]:
        """`target_mean` and `target_std`, of each."""
        import numpy as np

        found = values.astype(np.float64).reshape(len(values), -1)
        return {
            "target_mean": found.mean(0).tolist(),
            "target_std": found.std(0).tolist(),
        }

    def take_over(
        self, found: TargetFeature, values: "np.ndarray", name: str
    ) -> "np.ndarray":
        """As many values."""
        assert isinstance(found, Values)  # as `accepts` has it
        if found.size != self.size:
            raise UserError(
                f"{name} has {found.size} values for each example; expected "
                f"{self.size}, as the run was trained on."
            )
        return values

    def serialize(self, value: Any) -> "tf.train.Feature":
        """The numbers."""
        import tensorflow as tf

        return tf.train.Feature(float_list=tf.train.FloatList(value=value))

    def parse(self, stored: "tf.train.Feature") -> "np.ndarray":
        """float32 [size]."""
        import numpy as np

        return np.array(stored.float_list.value, np.float32).reshape(self.size)

    def tfds_feature(self) -> Any:
        """A tensor."""
        import numpy as np
        import tensorflow_datasets as tfds

        return tfds.features.Tensor(shape=(self.size,), dtype=np.float32)

    def record_key(self, value: Any) -> int:
        """Values take the same room whatever they are."""
        return 0


def _note(arrays: list[str], values: "np.ndarray") -> str:
    """What should be said of values that look like labels."""
    if values.shape[1] > 1 and ((values == 0) | (values == 1)).all():
        return (
            f"{' and '.join(arrays)} hold only 0 and 1, but as floats: taken for "
            "values; for sets of labels, store them as integers"
        )
    return ""
