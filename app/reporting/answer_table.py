"""For a task without figures of its own: a table of what was answered and was right."""

import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from app.reporting.predictions import SplitPredictions
from app.reporting.tables import write_table

if TYPE_CHECKING:
    from app.reporting.keeping import Evaluated

# An answer of more values than this is no row of a table.
_MOST_VALUES = 256
_ANSWER = "answer_"


class _Answers:
    """Keeps the answers of every example, and of large ones how large they are."""

    def __init__(self, evaluated: "Evaluated") -> None:
        self._evaluated = evaluated
        self._batches: list[dict[str, np.ndarray]] = []

    def observe(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        """Takes a batch."""
        answers = self._evaluated.task.expected_answers(outputs)
        named = {f"{_ANSWER}{name}": value for name, value in answers.items()}
        given = {"labels": labels, "outputs": outputs, **named}
        self._batches.append({name: _small(value) for name, value in given.items()})

    def kept(self) -> SplitPredictions:
        """The answers of all batches."""
        whole = {
            name: np.concatenate([batch[name] for batch in self._batches])
            for name in self._batches[0]
        }
        return SplitPredictions(
            task=self._evaluated.task.name,
            labels=whole.pop("labels"),
            outputs=whole.pop("outputs"),
            names=tuple(self._evaluated.dataset.names(self._evaluated.split)),
            more=whole,
        )


def keeper(evaluated: "Evaluated") -> _Answers:
    """What keeps the answers of an evaluation."""
    return _Answers(evaluated)


def draw(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Writes `SPLIT_answers.csv`: a row an example, its label and its answers.

    Where no answers were kept, the model's outputs stand in their place.
    """
    answers = {
        name.removeprefix(_ANSWER): values
        for name, values in predictions.more.items()
        if name.startswith(_ANSWER)
    }
    shown = {
        "label": predictions.labels,
        **(answers or {"output": predictions.outputs}),
    }
    columns = {"example": np.array(predictions.names, np.str_)}
    for name, values in shown.items():
        columns |= _columns(name, values)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [write_table(list(columns), rows, folder / f"{split}_answers.csv")]


def _columns(name: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A column for each value of an example."""
    flat = values.reshape(len(values), -1)
    for index in range(flat.shape[1]):
        yield name if flat.shape[1] == 1 else f"{name}_{index}", flat[:, index]


def _small(values: np.ndarray) -> np.ndarray:
    """Values [n, …] as they are; of large ones, in words, how many an example has."""
    if values[0].size <= _MOST_VALUES:
        return values
    words = f"{'x'.join(map(str, values.shape[1:]))} values"
    return np.full(len(values), words)
