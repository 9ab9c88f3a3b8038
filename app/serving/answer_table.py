"""Answers as cells of predict's CSV: the task's own, or a column for every number."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from app.serving import tasks
from app.serving.signatures import Contract

Answer = Mapping[str, np.ndarray]


class AnswerTable(Protocol):
    """What a file of `app/serving/tasks` holds."""

    def header(self, contract: Contract, top_k: int) -> list[str]:
        """Names of the columns, after the one that names the example."""

    def cells(self, answer: Answer, contract: Contract, top_k: int) -> list[str]:
        """As many cells.

        Args:
          answer: of one example, by name, without the batch.
          contract: of what answers.
          top_k: how many of ranked answers are asked for.
        """


def table_of(contract: Contract) -> AnswerTable:
    """The file of the contract's task; without one a general table, which is said."""
    name = f"{tasks.__name__}.{contract.task.name}"
    if contract.task.name.isidentifier() and importlib.util.find_spec(name):
        table: AnswerTable = importlib.import_module(name)
        return table
    print(
        f"there is no table of its own for {contract.task.name}: the CSV has a column"
        " for each number of its answers",
        file=sys.stderr,
    )
    return EveryNumber()


class EveryNumber:
    """A column for each number of the answers, and for each name."""

    def header(self, contract: Contract, top_k: int) -> list[str]:
        """ANSWER, or ANSWER_1, …; ANSWER_NAME where it has a number a named output."""
        del top_k
        found: list[str] = []
        for answer, spec in contract.answer_specs.items():
            labels = _labels(spec.shape, contract.names)
            found += (
                [f"{answer}_{label}" for label in labels] if spec.shape else [answer]
            )
        return found

    def cells(self, answer: Answer, contract: Contract, top_k: int) -> list[str]:
        """Numbers with as many digits as tell them from every other."""
        del top_k
        named = contract.named_answers
        found: list[str] = []
        for name in contract.answer_specs:
            if name in named:
                indices = np.asarray(answer[named[name]]).reshape(-1)
                found += [contract.names[index] for index in indices]
            else:
                found += [repr(value) for value in np.ravel(answer[name]).tolist()]
        return found


def _labels(shape: tuple[int, ...], names: tuple[str, ...]) -> Iterator[str]:
    """A label for each number of an answer of this shape, in their order."""
    if shape == (len(names),):
        yield from names
        return
    for index in np.ndindex(shape):
        yield "_".join(str(at + 1) for at in index)
