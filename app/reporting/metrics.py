"""`metrics.jsonl`: one JSON object a line, one line an evaluation.

Imports neither TensorFlow nor NumPy.
"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from base import files
from base.errors import UserError


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What is measured in every run, beside the metrics of its task.

    Attributes:
      title: for people.
      direction: whether more (`max`) or less (`min`) is better; None if neither is.
      unit: of its values; empty for a share.
    """

    title: str
    direction: str | None
    unit: str = ""


# The other tags of every line, which have no split in front.
OF_EVERY_RUN = {
    "learning_rate": Measurement("Learning rate", None),
    "seconds": Measurement("Training time", "min", "s"),
    "examples_per_second": Measurement("Examples per second", "max"),
    "input_wait": Measurement("Time spent waiting for data", "min"),
    "peak_memory_bytes": Measurement("Largest resident memory", "min", "B"),
}


class MetricsLog:
    """The lines of one `metrics.jsonl`, in the order of their steps.

    A line is either whole or not there: a last line that a kill cut short is passed
    over by `read`, and removed by the next `append` or `truncate_after`.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def append(self, line: Mapping[str, Any]) -> None:
        """Adds a line and flushes it to the disk.

        Numbers may be NumPy's or TensorFlow's scalars. JSON knows no NaN or infinity:
        they become null.
        """
        is_new = not self._path.exists()
        self._drop_torn_end()
        text = json.dumps(plain(line), allow_nan=False) + "\n"
        with open(self._path, "ab", buffering=0) as file:
            file.write(text.encode())
            os.fsync(file.fileno())
        if is_new:
            files.sync_folder(self._path.parent)

    def read(self) -> list[dict[str, Any]]:
        """All whole lines; none where there is no file.

        Raises:
          UserError: a line before the last is not a JSON object.
        """
        if not self._path.exists():
            return []
        *lines, _ = self._path.read_bytes().split(b"\n")
        return [self._parse(line, number) for number, line in enumerate(lines, 1)]

    def truncate_after(self, step: int) -> int:
        """Drops the lines beyond `step`, as a resume from there does.

        The file is replaced as a whole, or stays as it was.

        Returns:
          How many lines were dropped; a torn end is not counted.
        """
        if not self._path.exists():
            return 0
        lines = self.read()
        kept = [line for line in lines if line["step"] <= step]
        self._drop_torn_end()
        if len(kept) < len(lines):
            text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in kept)
            files.write_text(self._path, text)
        return len(lines) - len(kept)

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict) or "step" not in value:
            raise UserError(
                f"{self._path}, line {number}: expected a JSON object with a step, got"
                f" {line[:60]!r}; remove the line"
            )
        return value

    def _drop_torn_end(self) -> None:
        """Cuts off what follows the last newline."""
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(self._path, content.rfind(b"\n") + 1)


def plain(value: Any) -> Any:
    """`value` as JSON holds it: scalars of other libraries unwrapped, NaN as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "numpy"):
        value = value.numpy()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
