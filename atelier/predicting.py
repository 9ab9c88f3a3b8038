"""Examples as a program has them, answered by a run's model."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from app.serving.loading import Predictor
from app.serving.signatures import Contract
from atelier import own_data
from base.errors import UserError
from pipelines import files, preprocessing, tables
from pipelines.features import Image, Table, Vector
from pipelines.sources import arrayfiles

Answers = dict[str, np.ndarray]


def answers(predictor: Predictor, examples: Any, batch_size: int) -> Answers:
    """What is answered of examples, in their order: see `Run.predict`.

    Raises:
      UserError: they are of another kind than the run's, or one cannot be read.
    """
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size}: expected 1 or more")
    features = predictor.contract.features
    paths = _paths_of(examples)
    named: Answers = {}
    batches: Iterator[Any]
    match features.input:
        case Table():
            batches = _rows(predictor, examples, paths, batch_size)
        case Image() if paths:
            found = files.list_images(paths)
            named = {"path": np.array(found)}
            batches = _images(predictor, found, batch_size)
        case Image() | Vector() if not paths:
            batches = _examples(predictor, examples, batch_size)
        case other:
            raise UserError(
                f"the run was trained on {other.kind}s: expected an array of them, not"
                " files"
            )
    parts = [predictor.answers(batch) for batch in batches]
    joined = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    for name, index in predictor.contract.named_answers.items():
        joined[name] = np.array(predictor.contract.names)[joined[index]]
    return {**named, **joined}


def _paths_of(examples: Any) -> list[str]:
    """The paths that were given; none where examples are given themselves."""
    several = list(examples) if isinstance(examples, list | tuple) else [examples]
    if all(isinstance(one, str | os.PathLike) for one in several):
        return [os.fspath(one) for one in several]
    return []


def _images(
    predictor: Predictor, paths: list[str], batch_size: int
) -> Iterator[np.ndarray]:
    contract = predictor.contract
    height, width, channels = _shape_of(contract)
    shape = (height, width, channels)
    for batch in files.read_images(paths, shape, batch_size, contract.max_pixels):
        for problem in batch.problems:
            raise UserError(problem)
        yield batch.images


def _rows(
    predictor: Predictor, examples: Any, paths: list[str], batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
    table_feature = predictor.contract.features.input
    assert isinstance(table_feature, Table)  # which is why rows are read
    columns = table_feature.columns
    if paths:
        given = [
            (path, tables.read_table(path, pathlib.Path(path), columns))
            for path in paths
        ]
    elif own_data.is_table(examples):
        given = [("the table", own_data.as_table(examples))]
    else:
        raise UserError(
            f"the run was trained on a table, and {type(examples).__name__} is none:"
            " expected one of pandas or Arrow, or CSV or Parquet files"
        )
    for name, table in given:
        tables.require_rows(name, table)
        rows = tables.rows_of(name, table, columns)
        for first in range(0, table.num_rows, batch_size):
            yield {part: v[first : first + batch_size] for part, v in rows.items()}


def _examples(
    predictor: Predictor, examples: Any, batch_size: int
) -> Iterator[np.ndarray]:
    """An array as the run's data is, resized where that are images."""
    contract = predictor.contract
    array = np.asarray(examples)
    kind = arrayfiles.input_of("predict", "the array", array.shape, array.dtype)
    wanted = _shape_of(contract)
    resizable = isinstance(kind, Image) and kind.shape[2:] == wanted[2:]
    fits = kind.shape == wanted or resizable
    if type(kind) is not type(contract.features.input) or not fits:
        raise UserError(
            f"the array holds {kind.kind}s of shape {kind.shape}: expected"
            f" {contract.features.input.kind}s of {wanted}, as the run was trained on"
        )
    if not len(array):
        raise UserError("the array holds no examples: expected one or more")
    for first in range(0, len(array), batch_size):
        part = kind.as_stored(array[first : first + batch_size])
        if kind.shape != wanted:
            height, width, _ = wanted
            part = preprocessing.resize_images(tf.constant(part), (height, width))
        yield np.asarray(part)


def _shape_of(contract: Contract) -> tuple[int, ...]:
    """Of one example, which is complete once a model is built for it."""
    return tuple(side or 0 for side in contract.features.input.shape)
