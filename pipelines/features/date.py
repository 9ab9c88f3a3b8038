"""A table's column of dates, which become seconds since 1970."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Self

from pipelines.features.number import Numeric

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class Date(Numeric):
    """A date, or a time; learnt of as a number is."""

    kind: ClassVar[str] = "date"
    field: ClassVar[str] = "date"
    encoding: ClassVar[str] = "numeric"
    whole: ClassVar[bool] = True

    @classmethod
    def of_arrow(cls, kind: "pa.DataType") -> Self | None:
        """Dates and timestamps."""
        from pyarrow import types

        return cls() if types.is_date(kind) or types.is_timestamp(kind) else None
