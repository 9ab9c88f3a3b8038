"""The tasks by name, known without TensorFlow; their modules are imported on use."""

import dataclasses
import importlib
from typing import TYPE_CHECKING

from base.errors import unknown
from models.spec import Outputs

if TYPE_CHECKING:
    from models.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class Entry:
    """A task of the registry.

    Attributes:
        place: `module:class`, imported when a task is needed.
        losses: Names of its losses, the first of which is `auto`.
    """

    place: str
    losses: tuple[str, ...]


TASKS = {
    "classification": Entry(
        "models.tasks.classification:Classification", ("cross_entropy",)
    ),
    "multilabel": Entry(
        "models.tasks.multilabel:MultiLabel", ("binary_cross_entropy", "binary_focal")
    ),
    "regression": Entry("models.tasks.regression:Regression", ("mse", "mae", "huber")),
}


def loss_names() -> tuple[str, ...]:
    """The names of all losses, each once."""
    return tuple(dict.fromkeys(n for entry in TASKS.values() for n in entry.losses))


def task_of(outputs: Outputs) -> "Task":
    """The task of a model with these outputs.

    Raises:
        UserError: There is no such task, or so many outputs make none.
    """
    if outputs.task not in TASKS:
        raise unknown("task", outputs.task, TASKS)
    module, _, name = TASKS[outputs.task].place.partition(":")
    task: Task = getattr(importlib.import_module(module), name)(outputs)
    return task
