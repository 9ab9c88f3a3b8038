"""Tables beside the figures, as CSV."""

import csv
import io
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from base import files


def write_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], path: pathlib.Path
) -> pathlib.Path:
    """Writes a CSV file; what is None is an empty cell. Returns `path`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row]
        for row in rows
    )
    files.write_text(path, text.getvalue())
    return path
