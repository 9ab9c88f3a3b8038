"""The file of a task in `tasks`, found by name; what a task without one gets.

A file of a task has the functions of `TaskFigures`. It is optional: a task without one
gets a table of its answers, and never the figures of another task.
"""

import importlib
import pathlib
import pkgutil
from typing import TYPE_CHECKING, Protocol

from app.reporting import answer_table, tasks
from app.reporting.predictions import SplitPredictions

if TYPE_CHECKING:
    from app.reporting.keeping import Evaluated, Keeper


class TaskFigures(Protocol):
    """What a file of a task gives."""

    def keeper(self, evaluated: "Evaluated") -> "Keeper":
        """What takes the batches of an evaluation and keeps what `draw` needs."""

    def draw(
        self, predictions: SplitPredictions, split: str, folder: pathlib.Path
    ) -> list[pathlib.Path]:
        """Draws figures and tables `SPLIT_….…` into `folder`; returns their paths."""


def has_file(task: str) -> bool:
    """Whether a task of this name has figures of its own."""
    return task in {module.name for module in pkgutil.iter_modules(tasks.__path__)}


def figures_of(task: str) -> TaskFigures:
    """The figures of the task of this name; a table where it has none of its own."""
    if not has_file(task):
        return answer_table
    found: TaskFigures = importlib.import_module(f"{tasks.__name__}.{task}")
    return found


def note(task: str) -> str:
    """A line on what is missing for the task; empty where nothing is."""
    if has_file(task):
        return ""
    return (
        f"there are no figures for the task {task!r}: curves over the epochs and a"
        " table of its answers are written instead"
    )
