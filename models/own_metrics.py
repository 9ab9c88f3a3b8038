"""Metrics of the user's own: `--metrics=mine:f,mine:g:max,mine:Class`.

Read `models.metrics.SummedMetric` for what a metric is; a function that gives a number
for each example is one whose result is the mean.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import tensorflow as tf

from base import own_parts
from base.errors import UserError
from models.config import split_metric
from models.losses import require_per_example
from models.metrics import OF_EVERY_TASK, Metric, SummedMetric
from models.spec import Outputs
from models.tasks.base import Task

_FUNCTION = "(labels, outputs) -> [B]"
_CLASS = "(outputs)"
_SEE = "see models.metrics.SummedMetric"


class _Mean(SummedMetric):
    """The mean of what a function gives for each example."""

    sum_sizes: ClassVar = {"sum": 1}

    def __init__(self, function: Any, asked: str) -> None:
        self._function = function
        self._asked = asked

    def sums(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.convert_to_tensor(self._function(labels, outputs))
        require_per_example(self._asked, values, outputs)
        return {"sum": values}

    def result(self, sums: Mapping[str, Any]) -> float:
        return float(sums["sum"] / sums["examples"])


def load(text: str, task: Task) -> dict[Metric, SummedMetric]:
    """The metrics that `--metrics` names, with what each means.

    Args:
        text: The flag's value.
        task: Beside whose metrics they stand, and whose outputs they get.

    Raises:
        UserError: One is not there, has no direction, or a name that is taken.
    """
    taken = {*OF_EVERY_TASK, *(metric.name for metric in task.metrics)}
    found: dict[Metric, SummedMetric] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        reference, suffix = split_metric(item)
        part = own_parts.load_callable("metrics", reference)
        name = reference.partition(":")[2]
        if name in taken:
            raise UserError(
                f"--metrics={item}: there is a metric {name!r} of the task already; "
                "give it another name"
            )
        metric = Metric(
            name=name,
            title=getattr(part, "title", "") or _title(name),
            direction=_direction(item, reference, part, suffix),
            unit=getattr(part, "unit", ""),
        )
        found[metric] = _made(reference, part, task.outputs)
    return found


def _title(name: str) -> str:
    """`balanced_accuracy` or `BalancedAccuracy` in words."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ")
    return words.capitalize()


def _direction(
    item: str, reference: str, part: Any, suffix: str
) -> Literal["max", "min"]:
    declared = getattr(part, "direction", None)
    if suffix and declared not in (None, suffix):
        raise UserError(
            f"--metrics={item}: {reference} says that its direction is {declared!r}; "
            "leave one of them out"
        )
    direction = suffix or declared
    if direction == "max":
        return "max"
    if direction == "min":
        return "min"
    received = "no direction" if direction is None else f"the direction {direction!r}"
    raise UserError(
        f"--metrics={item} has {received}: expected {reference}:max or {reference}:min,"
        ' or the attribute direction = "max" or "min", to say whether more of it is '
        "better"
    )


def _made(reference: str, part: Any, outputs: Outputs) -> SummedMetric:
    """The metric itself.

    Raises:
        UserError: It is neither a function of two arguments nor such a class.
    """
    if not inspect.isclass(part):
        own_parts.require_takes("metrics", reference, part, _FUNCTION)
        return _Mean(part, f"--metrics={reference}")
    if not issubclass(part, SummedMetric):
        raise UserError(
            f"--metrics={reference} is a class of its own: expected a subclass of "
            "models.metrics.SummedMetric, or a function (labels, outputs) -> [B]"
        )
    if missing := sorted(part.__abstractmethods__):
        raise UserError(f"--metrics={reference} lacks {', '.join(missing)}: {_SEE}")
    own_parts.require_takes("metrics", reference, part, _CLASS)
    metric: SummedMetric = part(outputs)
    if not getattr(metric, "sum_sizes", None):
        raise UserError(f"--metrics={reference} lacks sum_sizes: {_SEE}")
    return metric
