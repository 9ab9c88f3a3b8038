"""Tables: rows of named columns, each a feature of its own."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from base.errors import UserError
from pipelines.features import column_registry
from pipelines.features.columns import ColumnFeature
from pipelines.features.inputs import InputFeature

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class TableColumn:
    """A column: a name, and what its values are."""

    name: str
    feature: ColumnFeature

    @property
    def kind(self) -> str:
        """How a model encodes it: numeric, boolean or categorical."""
        return self.feature.encoding

    @property
    def integer(self) -> bool:
        """Whether its values are whole, as dates' seconds are."""
        return getattr(self.feature, "whole", False)


@dataclasses.dataclass(frozen=True)
class Table(InputFeature):
    """A row of a table.

    Attributes:
        columns: in order.
    """

    columns: tuple[TableColumn, ...]

    kind: ClassVar[str] = "table"
    field: ClassVar[str] = "table"
    dtype: ClassVar[str] = "float32"

    @property
    def shape(self) -> tuple[int | None, ...]:  # type: ignore[override]  # no field
        """(columns,)."""
        return (len(self.columns),)

    @property
    def groups(self) -> dict[str, tuple[TableColumn, ...]]:
        """The columns that go into `numbers` and into `texts`, as there are any."""
        groups: dict[str, tuple[TableColumn, ...]] = {}
        for group in ("numbers", "texts"):
            own = tuple(one for one in self.columns if one.feature.group == group)
            if own:
                groups[group] = own
        return groups

    def to_json(self) -> dict[str, Any]:
        """With each column's name beside what its feature says."""
        columns = [
            {"name": column.name, **column.feature.to_json()} for column in self.columns
        ]
        return {"kind": self.kind, "columns": columns}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The table that `to_json` wrote."""
        return cls(
            tuple(
                TableColumn(column["name"], column_registry.from_json(column))
                for column in values["columns"]
            )
        )

    def batch_spec(self) -> "dict[str, tf.TensorSpec]":
        """`numbers` float32 [None,N] and `texts` string [None,T], as there are any."""
        import tensorflow as tf

        return {
            group: tf.TensorSpec(
                [None, len(columns)], columns[0].feature.batch_spec().dtype
            )
            for group, columns in self.groups.items()
        }

    @property
    def example_bytes(self) -> int:
        """Four bytes for each column."""
        return 4 * len(self.columns)

    @property
    def pixels(self) -> int:
        """How many columns there are."""
        return len(self.columns)

    def mixed(self, values: Any) -> Any:
        """Raises UserError: rows are not mixed."""
        raise UserError("--augment=mixup: rows of tables are not mixed; leave it out.")

    def values_by_column(
        self, rows: "Mapping[str, np.ndarray]"
    ) -> "list[tuple[TableColumn, np.ndarray]]":
        """Each column with its values [n], in the table's order."""
        at = {
            column.name: rows[group][:, place]
            for group, columns in self.groups.items()
            for place, column in enumerate(columns)
        }
        return [(column, at[column.name]) for column in self.columns]

    def check_training(self, read: Callable[[], Any], name: str) -> None:
        """Raises UserError where nothing could be learnt of a column."""
        for column, values in self.values_by_column(read()):
            column.feature.check_training(values, f"{name}: column {column.name!r}")

    def statistics(self, read: Callable[[], Any]) -> dict[str, Any]:
        """`columns`: what each of them has learnt, with its name and encoding."""
        return {
            "columns": [
                {
                    "name": column.name,
                    "kind": column.feature.encoding,
                    **column.feature.learn(values),
                }
                for column, values in self.values_by_column(read())
            ]
        }

    def take_over(self, found: InputFeature, name: str, encoded: bool) -> None:
        """A table is read with the columns of the run already."""

    def require_packable(self, name: str) -> None:
        """Raises UserError: a table stays what it is."""
        raise UserError(f"{name} is a table; it is read as it is.")

    def tfds_feature(self, encoded: bool) -> Any:
        """Raises UserError: a table is not packed."""
        raise UserError("a table's rows are not packed; it is read as it is.")
