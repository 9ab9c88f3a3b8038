"""A table's column of numbers, and what dates and truths have in common with it."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipelines.features.columns import ColumnFeature

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class Numeric(ColumnFeature):
    """What stands among a row's `numbers`: NaN where a value is missing."""

    group: ClassVar[str] = "numbers"

    def arrow_type(self) -> "pa.DataType":
        """float64."""
        import pyarrow as pa

        return pa.float64()

    @property
    def csv_type(self) -> "pa.DataType | None":
        """Guessed: Arrow knows dates from reals, and they are cast later."""
        return None

    def of_cast(self, values: "pa.ChunkedArray") -> "np.ndarray":
        """float32 [n]."""
        import numpy as np

        found: np.ndarray = values.to_numpy().astype(np.float32)
        return found

    def learn(self, values: "np.ndarray") -> dict[str, Any]:
        """Mean, standard deviation, and whether a value is missing."""
        import numpy as np

        present = values[~np.isnan(values)].astype(np.float64)
        mean, std = (present.mean(), present.std()) if len(present) else (0.0, 1.0)
        return {
            "mean": float(mean),
            # A column that never varied in training is centred, not blown up.
            "std": float(std) or 1.0,
            "missing": len(present) < len(values),
        }


@dataclasses.dataclass(frozen=True)
class Number(Numeric):
    """A number.

    Attributes:
        whole: whether the column held integers.
    """

    whole: bool = False

    kind: ClassVar[str] = "number"
    field: ClassVar[str] = "number"
    encoding: ClassVar[str] = "numeric"

    @classmethod
    def of_arrow(cls, kind: "pa.DataType") -> Self | None:
        """Integers, reals and decimals."""
        from pyarrow import types

        if types.is_integer(kind):
            return cls(whole=True)
        is_real = types.is_floating(kind) or types.is_decimal(kind)
        return cls(whole=False) if is_real else None
