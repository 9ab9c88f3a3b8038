"""A table's column of texts of which each stands in many rows."""

import collections
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Self

from base.errors import UserError
from pipelines.features.columns import ColumnFeature

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_LARGEST_VOCABULARY = 256
_LEAST_COUNT = 2
# Of the rows with a text: so many have to hold one that occurs twice or more.
_LEAST_REPEATED = 1 / 20


@dataclasses.dataclass(frozen=True)
class Category(ColumnFeature):
    """One of several texts."""

    kind: ClassVar[str] = "category"
    field: ClassVar[str] = "category"
    group: ClassVar[str] = "texts"
    encoding: ClassVar[str] = "categorical"

    @classmethod
    def of_arrow(cls, kind: "pa.DataType") -> Self | None:
        """Texts, as they are or by a dictionary."""
        return cls() if is_text(kind) else None

    def arrow_type(self) -> "pa.DataType":
        """Texts."""
        import pyarrow as pa

        return pa.string()

    def of_cast(self, values: "pa.ChunkedArray") -> "np.ndarray":
        """Texts [n]: object; a missing one is empty."""
        import numpy as np
        import pyarrow.compute

        return np.array(pyarrow.compute.fill_null(values, "").to_pylist(), dtype=object)

    def learn(self, values: "np.ndarray") -> dict[str, Any]:
        """The vocabulary, and whether a value is missing.

        The 256 commonest texts that occur twice or more, by count and then by text.
        """
        counts = collections.Counter(values.tolist())
        missing = counts.pop("", 0) > 0
        common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = [text for text, count in common if count >= _LEAST_COUNT]
        return {"vocabulary": kept[:_LARGEST_VOCABULARY], "missing": missing}

    def check_training(self, values: "np.ndarray", where: str) -> None:
        """Raises UserError for free texts and identifiers: each stands in one row.

        Of such a column nothing would be learnt, and nobody would be told.
        """
        counts = collections.Counter(values.tolist())
        counts.pop("", None)
        present = counts.total()
        repeated = sum(count for count in counts.values() if count >= _LEAST_COUNT)
        if repeated < _LEAST_REPEATED * present:
            raise UserError(
                f"{where} has {len(counts)} different texts in the {present} training "
                "rows that have one: an identifier or free text, of which nothing can "
                "be learnt as of a category; leave it out of the file."
            )


def is_text(kind: "pa.DataType") -> bool:
    """Whether an Arrow type holds texts, as they are or by a dictionary."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind))
