"""Edge cases of rows, made of ordinary ones: missing, unseen and far values."""

from collections.abc import Iterator, Sequence

import numpy as np

from app.serving.inputs.columns import Rows, ServedColumn

# Columns that are missing alone in a row of their own, at most.
_MISSING_ALONE = 32
# In standard deviations.
_FAR = 1e3
_UNSEEN = "ünseen 未见 🙂"


def rows(
    served: Sequence[ServedColumn], ordinary: Rows
) -> tuple[tuple[str, ...], Rows]:
    """Names of rows, and the rows: the ordinary ones, then edge cases.

    Args:
      served: the table's columns.
      ordinary: `numbers` float32 [k, N], `texts` [k, T] of UTF-8 or texts.

    Returns:
      n names, and `numbers` float32 [n, N], `texts` [n, T] of fixed-width texts.
    """
    ordinary = {part: _decoded(values) for part, values in ordinary.items()}
    edge_cases = dict(_variants(served, ordinary))
    count = len(next(iter(ordinary.values())))
    names = [*(f"validation-{i:02}" for i in range(count)), *edge_cases]
    found = {
        part: np.stack([*values, *(row[part] for row in edge_cases.values())])
        for part, values in ordinary.items()
    }
    if "texts" in found:
        found["texts"] = found["texts"].astype(np.str_)
    return tuple(names), found


def _variants(
    served: Sequence[ServedColumn], ordinary: Rows
) -> Iterator[tuple[str, Rows]]:
    """(name, row) of the first row with something changed."""
    first = {part: values[0] for part, values in ordinary.items()}
    empty = _without(first, served, served)
    yield "all-missing", empty
    for column in served[:_MISSING_ALONE]:
        if column.dtype != "bool":
            yield f"missing-{column.input}", _without(first, served, [column])
    if "texts" in first:
        yield "unseen", first | {"texts": np.full_like(first["texts"], _UNSEEN)}
    if any(column.kind == "numeric" for column in served):
        spread = np.nan_to_num(np.nanstd(ordinary["numbers"], axis=0)) + 1
        for name, deviations in (("far-above", _FAR), ("far-below", -_FAR)):
            far = np.round(deviations * spread).astype(np.float32)
            yield name, first | {"numbers": _numeric_only(served, far, first)}


def _without(
    row: Rows, served: Sequence[ServedColumn], missing: Sequence[ServedColumn]
) -> Rows:
    """The row without the values of some columns; a bool cannot be missing: False."""
    row = {part: values.copy() for part, values in row.items()}
    at = {"numbers": 0, "texts": 0}
    for column in served:
        part = "texts" if column.kind == "categorical" else "numbers"
        if column in missing:
            absent = {"string": "", "bool": 0.0, "float32": np.nan}[column.dtype]
            row[part][at[part]] = absent
        at[part] += 1
    return row


def _numeric_only(
    served: Sequence[ServedColumn], far: np.ndarray, row: Rows
) -> np.ndarray:
    """`far` for numeric columns, and the row's own values for boolean ones."""
    kinds = [column.kind for column in served if column.kind != "categorical"]
    numeric = np.array([kind == "numeric" for kind in kinds])
    return np.where(numeric, far, row["numbers"])


def _decoded(values: np.ndarray) -> np.ndarray:
    """UTF-8 as texts; numbers as they are."""
    if values.dtype != object:
        return values
    texts = [
        [text.decode() if isinstance(text, bytes) else text for text in row]
        for row in values.tolist()
    ]
    return np.array(texts, object)
