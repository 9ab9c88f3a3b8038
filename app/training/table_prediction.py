"""Predicts the rows of CSV and Parquet files with a run that was trained on a table."""

import pathlib

import numpy as np
import tensorflow as tf

from app.config import PredictConfig
from app.errors import UserError
from app.experiment import RunFolder
from app.serving.signatures import Contract, answers_of
from app.training import assembly
from app.training.answer_cells import cells, header
from pipelines.features import Features


def is_meant(config: PredictConfig) -> bool:
    """Whether what predicts is a run on a table."""
    if not config.run.run_dir:
        return False
    folder = RunFolder(pathlib.Path(config.run.run_dir))
    if not folder.dataset.exists():
        return False  # what is wrong with the run is said where it is loaded
    return bool(assembly.read_description(folder)["features"]["kind"] == "table")


def answers(config: PredictConfig) -> tuple[list[str], list[list[str]]]:
    """The CSV's header, and its lines in the order of the files' rows.

    A row is named by its number in the file, from 1; if there are several files, by the
    file's name, too.

    Raises:
      UserError: a file cannot be read, or lacks a column.
    """
    assert config.run.run_dir and config.prediction.input
    folder = RunFolder(pathlib.Path(config.run.run_dir))
    features = Features.from_json(assembly.read_description(folder)["features"])
    paths = config.prediction.input.split(",")
    inputs = [_read(path, features) for path in paths]
    network, _ = assembly.load_network(folder, config.weights.checkpoint)
    contract = Contract(features, folder.read_config().data.max_pixels)
    forward = tf.function(
        lambda rows: answers_of(network.model(rows, training=False), contract)
    )
    lines = []
    for path, rows in zip(paths, inputs, strict=True):
        prefix = f"{path}, " if len(paths) > 1 else ""
        size, count = config.prediction.batch_size, len(next(iter(rows.values())))
        for start in range(0, count, size):
            part = {k: tf.constant(v[start : start + size]) for k, v in rows.items()}
            found = {name: value.numpy() for name, value in forward(part).items()}
            for row in range(min(size, count - start)):
                answer = {name: values[row] for name, values in found.items()}
                name = f"{prefix}{start + row + 1}"
                lines.append([name, *cells(answer, features, config.prediction.top_k)])
    return header(features, config.prediction.top_k, "row"), lines


def _read(path: str, features: Features) -> dict[str, np.ndarray]:
    from pipelines import tables  # here, as it imports Arrow

    if not pathlib.Path(path).is_file():
        raise UserError(f"--input={path}: no such file; expected a CSV or Parquet file")
    with assembly.user_mistakes():
        table = tables.read_table(path, pathlib.Path(path), features.columns)
        return tables.rows_of(path, table, features.columns)
