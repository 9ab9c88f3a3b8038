"""The tasks by name; their modules are imported on use."""

import importlib
import inspect

from base import own_parts
from base.errors import UserError, unknown
from models.spec import Outputs
from models.tasks.base import Task
from models.tasks.names import TASKS

# Of a task's class, beside its abstract methods.
_ATTRIBUTES = ("name", "targets", "losses", "quality")


def settle(asked: str, usual: str) -> str:
    """The name of the task that is learnt: `--task` with `auto` decided.

    Args:
        asked: The flag: auto, a task here, or `package.module:class`.
        usual: The task that the target feature is learnt by if nothing else is said.

    Raises:
        UserError: The task does not learn such targets.
    """
    if asked in ("auto", usual):
        return usual
    (target, *_) = TASKS[usual].targets
    learnt = _own_task(asked).targets if ":" in asked else TASKS[asked].targets
    if target not in learnt:
        raise UserError(
            f"--task={asked} learns {' or '.join(learnt)}, and the targets here are "
            f"{target}: expected auto, which is {usual} for them, or a task that has "
            f"{target} among its targets"
        )
    return asked


def task_of(outputs: Outputs) -> Task:
    """The task of a model with these outputs.

    Raises:
        UserError: There is no such task, or so many outputs make none.
    """
    return class_of(outputs.task)(outputs)


def class_of(task: str) -> type[Task]:
    """The class of the task of this name.

    Raises:
        UserError: There is none.
    """
    if ":" in task:
        return _own_task(task)
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    module, _, name = TASKS[task].place.partition(":")
    found: type[Task] = getattr(importlib.import_module(module), name)
    return found


def _own_task(reference: str) -> type[Task]:
    """The class of the user's own that `--task=package.module:class` names.

    Raises:
        UserError: It is no whole subclass of Task.
    """
    part = own_parts.load("task", reference)
    if not (inspect.isclass(part) and issubclass(part, Task)):
        raise UserError(
            f"--task={reference}: expected a subclass of models.tasks.base.Task, or of "
            "a task such as models.tasks.classification.Classification"
        )
    missing = [*sorted(part.__abstractmethods__)]
    missing += [n for n in _ATTRIBUTES if not hasattr(part, n)]
    if missing:
        raise UserError(
            f"--task={reference} lacks {', '.join(missing)}: see models.tasks.base.Task"
        )
    return part
