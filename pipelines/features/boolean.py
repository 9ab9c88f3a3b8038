"""A table's column of truths: 0, 1, or NaN where one is missing."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Self

from pipelines.features.number import Numeric

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class Boolean(Numeric):
    """A truth; learnt of as a number is."""

    kind: ClassVar[str] = "boolean"
    field: ClassVar[str] = "boolean"
    encoding: ClassVar[str] = "boolean"

    @classmethod
    def of_arrow(cls, kind: "pa.DataType") -> Self | None:
        """Booleans."""
        from pyarrow import types

        return cls() if types.is_boolean(kind) else None

    def arrow_type(self) -> "pa.DataType":
        """Booleans."""
        import pyarrow as pa

        return pa.bool_()

    @property
    def csv_type(self) -> "pa.DataType":
        """Booleans."""
        return self.arrow_type()

    def of_cast(self, values: "pa.ChunkedArray") -> "np.ndarray":
        """float32 [n]."""
        import numpy as np

        found: np.ndarray = values.cast("int8").to_numpy().astype(np.float32)
        return found
