"""Data that a program holds in memory, as a source: arrays and tables."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from base.errors import UserError
from base.given import Given
from pipelines import array_names

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from pipelines.config import DataConfig
    from pipelines.features import ExampleSpec
    from pipelines.sources.base import Source

_EXPECTED = (
    "expected a name or path as --dataset takes it, arrays (x, y) or (x_train, y_train,"
    " x_test, y_test), a dict of arrays x_train, y_train, …, or a table of pandas or"
    " Arrow with target=COLUMN"
)


def hand_over(data: Any) -> Given:
    """What stands for data in memory.

    Args:
      data: arrays by the names of an npz file, or without names as `array_names` has
        them; or a table.

    Raises:
      UserError: it is nothing of these.
    """
    if is_table(data):
        return _table(as_table(data))
    return _arrays(array_names.named("dataset", data, _EXPECTED))


def is_table(data: Any) -> bool:
    """Whether it is a table of pandas, Arrow, or whatever gives itself as Arrow's."""
    return hasattr(data, "__arrow_c_stream__") or _is_pandas(data)


def _is_pandas(data: Any) -> bool:
    module = type(data).__module__.partition(".")[0]
    return module == "pandas" and type(data).__name__ == "DataFrame"


def as_table(data: Any) -> "pa.Table":
    """A table as Arrow's; the index of pandas is no column.

    See https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html.
    """
    import pyarrow as pa

    if _is_pandas(data):
        found = pa.Table.from_pandas(data, preserve_index=False)
    else:
        found = pa.table(data)
    return found.replace_schema_metadata(None).combine_chunks()


def _arrays(given: Mapping[str, Any]) -> Given:
    import numpy as np

    arrays = {name: np.asarray(values) for name, values in given.items()}
    facts = [f"{name} {_fingerprint(name, arrays[name])}" for name in sorted(arrays)]
    sha256 = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    return Given("arrays", sha256, _array_opener(sha256, arrays))


def _fingerprint(name: str, array: "np.ndarray") -> str:
    """Of one array: its type, its shape and the SHA-256 of its values.

    Raises:
      UserError: these are no numbers.
    """
    import numpy as np

    if array.dtype.hasobject:
        raise UserError(
            f"dataset: {name} holds Python objects; expected an array of numbers"
        )
    values = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    digest = hashlib.sha256(values.data).hexdigest()
    return f"{array.dtype.str} {array.shape} {digest}"


def _array_opener(sha256: str, arrays: "Mapping[str, np.ndarray]") -> Any:
    name = Given("arrays", sha256, None).name

    def open_source(config: "DataConfig", like: "ExampleSpec | None") -> "Source":
        from pipelines.sources import npz

        for flag in ("target", "weights"):
            if (value := getattr(config, flag)) is not None and like is None:
                raise UserError(
                    f"--{flag}={value}: the dataset is arrays, which have no columns;"
                    f" leave {flag} out, or give a table"
                )
        return npz.open_arrays(name, arrays)

    return open_source


def _table(table: "pa.Table") -> Given:
    import pyarrow as pa

    content = pa.BufferOutputStream()
    with pa.ipc.new_stream(content, table.schema) as stream:
        stream.write_table(table)
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    name = Given("table", sha256, None).name

    def open_source(config: "DataConfig", like: "ExampleSpec | None") -> "Source":
        from pipelines import tables
        from pipelines.sources.table import TableSource

        tables.require_rows(name, table)
        # What is evaluated counts each row once.
        weights = None if like else config.weights
        allowed = config.max_bad_examples
        return TableSource(name, table, config.target, like, weights, allowed)

    return Given("table", sha256, open_source)
