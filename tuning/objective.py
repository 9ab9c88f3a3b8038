"""What is to be best: a metric of a trial, and whether more or less of it is better."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from base.errors import UserError, unknown


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


def parse(text: str, directions: Mapping[str, str | None], monitor: str) -> Objective:
    """Reads `--objective`.

    Args:
      text: `auto`, a tag or the name of a metric, with or without `:min` or `:max`.
      directions: whether more (`max`) or less (`min`) is better, by the tags that a
        line of metrics.jsonl has; None where neither is.
      monitor: the tag that `auto` stands for.

    Raises:
      UserError: there is no such metric, or its direction is not known.
    """
    name, colon, direction = text.partition(":")
    if name == "auto":
        name = monitor
    if name not in directions and f"validation/{name}" in directions:
        name = f"validation/{name}"
    if name not in directions:
        raise unknown("--objective: metric", name, directions)
    if not colon:
        direction = directions[name] or ""
    if direction not in ("min", "max"):
        raise UserError(
            f"--objective={text}: expected {name}:max or {name}:min, as its direction"
            " is not known"
        )
    return Objective(name, direction)
