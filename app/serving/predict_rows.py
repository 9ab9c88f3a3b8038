"""Predicts rows of CSV and Parquet files with what was trained on a table."""

import pathlib
from collections.abc import Iterator

import numpy as np

from app.configs.training import PredictionConfig
from app.serving.answer_cells import cells
from app.serving.loading import Predictor
from base.errors import UserError
from pipelines.features import Features


def lines(config: PredictionConfig, predictor: Predictor) -> Iterator[list[str]]:
    """The CSV's lines in the order of the files' rows.

    A row is named by its number in the file, from 1; if there are several files, by the
    file's name, too.

    Raises:
      UserError: a file cannot be read, or lacks a column.
    """
    assert config.input
    features, size = predictor.contract.features, config.batch_size
    paths = config.input.split(",")
    inputs = [_read(path, features) for path in paths]
    for path, rows in zip(paths, inputs, strict=True):
        prefix = f"{path}, " if len(paths) > 1 else ""
        for start in range(0, len(next(iter(rows.values()))), size):
            part = {name: values[start : start + size] for name, values in rows.items()}
            found = predictor.answers(part)
            for row in range(len(next(iter(found.values())))):
                answer = {name: values[row] for name, values in found.items()}
                name = f"{prefix}{start + row + 1}"
                yield [name, *cells(answer, features, config.top_k)]


def _read(path: str, features: Features) -> dict[str, np.ndarray]:
    from pipelines import tables  # here, as it imports Arrow

    if not pathlib.Path(path).is_file():
        raise UserError(f"--input={path}: no such file; expected a CSV or Parquet file")
    table = tables.read_table(path, pathlib.Path(path), features.columns)
    return tables.rows_of(path, table, features.columns)
