"""The features that a table's column may have: a new one is a line more here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from base.errors import unknown
from pipelines.features.boolean import Boolean
from pipelines.features.category import Category
from pipelines.features.columns import ColumnFeature
from pipelines.features.date import Date
from pipelines.features.number import Number

if TYPE_CHECKING:
    import pyarrow as pa

# In the order in which a column's type is tried.
COLUMNS: tuple[type[ColumnFeature], ...] = (Boolean, Number, Date, Category)


def of_arrow(kind: "pa.DataType") -> ColumnFeature | None:
    """The feature of a column of an Arrow type, or None where there is none."""
    for column in COLUMNS:
        found = column.of_arrow(kind)
        if found is not None:
            return found
    return None


def from_json(values: Mapping[str, Any]) -> ColumnFeature:
    """The feature that `to_json` wrote, beside the column's name.

    Raises:
        UserError: it is of no kind that is known here.
    """
    kinds = {column.kind: column for column in COLUMNS}
    if values["kind"] not in kinds:
        raise unknown("kind of column", values["kind"], kinds)
    own = {name: value for name, value in values.items() if name != "name"}
    return kinds[values["kind"]].from_json(own)
