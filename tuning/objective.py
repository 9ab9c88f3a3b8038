"""What is to be best: a metric of a trial, and whether more or less of it is better."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from base.errors import UserError, unknown

# Metrics of which more is better, and those of which less is.
_RISING = ("accuracy", "top5_accuracy", "r2", "examples_per_second")
_FALLING = ("loss", "mae", "rmse", "seconds", "input_wait")


@dataclasses.dataclass(frozen=True)
class Objective:
    """A metric and its direction.

    Attributes:
      tag: of a line of metrics.jsonl.
      direction: `max` or `min`.
    """

    tag: str
    direction: str

    def is_better(self, score: float, other: float) -> bool:
        """Whether a score is better than another."""
        return score > other if self.direction == "max" else score < other

    def sort_key(self, score: float) -> float:
        """Lower for better scores."""
        return -score if self.direction == "max" else score

    def history(self, lines: Iterable[Mapping[str, Any]]) -> list[tuple[float, float]]:
        """(epoch, value) of each line of metrics.jsonl that has a finite value."""
        return [
            (float(line["epoch"]), float(line[self.tag]))
            for line in lines
            if isinstance(line.get(self.tag), int | float)
            and math.isfinite(line[self.tag])
        ]

    def best(self, history: Iterable[tuple[float, float]]) -> tuple[float, float]:
        """The (epoch, value) of the best value, the first of equal ones.

        Raises:
          ValueError: there is none.
        """
        return min(history, key=lambda point: self.sort_key(point[1]))


def parse(text: str, tags: Iterable[str]) -> Objective:
    """Reads `--objective`.

    Args:
      text: `auto`, a tag or the name of a metric, with or without `:min` or `:max`.
      tags: those that a line of metrics.jsonl has.

    Raises:
      UserError: there is no such metric, or its direction is not known.
    """
    tags = list(tags)
    name, colon, direction = text.partition(":")
    if name == "auto":
        has_accuracy = "validation/accuracy" in tags
        name = "validation/accuracy" if has_accuracy else "validation/loss"
    if name not in tags and f"validation/{name}" in tags:
        name = f"validation/{name}"
    if name not in tags:
        raise unknown("--objective: metric", name, tags)
    if not colon:
        last = name.rpartition("/")[2]
        direction = "max" if last in _RISING else "min" if last in _FALLING else ""
    if direction not in ("min", "max"):
        raise UserError(
            f"--objective={text}: expected {name}:max or {name}:min, as its direction"
            " is not known"
        )
    return Objective(name, direction)
