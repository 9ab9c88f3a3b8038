"""What an example consists of: its kind, shape, task and classes."""

import dataclasses
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table: `kind` is numeric, boolean or categorical.

    `integer` says of a numeric one that its values were whole, as dates' seconds are.
    """

    name: str
    kind: Literal["numeric", "boolean", "categorical"]
    integer: bool = False


@dataclasses.dataclass(frozen=True)
class Features:
    """What a source, or a dataset made of it, gives.

    Attributes:
        kind: `image` (uint8 [H,W,C]), `vector` (float32 [F]) or `table`.
        shape: of one example, without the batch: (H, W, C), (F,) or (columns,). A
            height or width is None where a source's images differ in size.
        task: `classification` or `regression`.
        classes: names by class index; empty for regression.
        targets: numbers to predict for an example; 1 for classification.
        columns: of a table, in order.
    """

    kind: Literal["image", "vector", "table"]
    shape: tuple[int | None, ...]
    task: Literal["classification", "regression"]
    classes: tuple[str, ...] = ()
    targets: int = 1
    columns: tuple[Column, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON values, which `from_json` turns back."""
        return dataclasses.asdict(self) | {
            "shape": list(self.shape),
            "classes": list(self.classes),
            "columns": [dataclasses.asdict(column) for column in self.columns],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Features":
        """The features that `to_json` wrote."""
        return cls(
            **values
            | {
                "shape": tuple(values["shape"]),
                "classes": tuple(values["classes"]),
                "columns": tuple(Column(**column) for column in values["columns"]),
            }
        )
