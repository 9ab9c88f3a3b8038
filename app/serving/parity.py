"""The gate: what other runtimes answer, compared with what the task expects."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.serving.golden import Golden
from base.errors import ExportRefused
from models.tasks.base import Task

# The largest difference, as the task measures it.
TOLERANCES = {
    "float32": 1e-5,
    "mixed_float16": 1e-2,
    "mixed_bfloat16": 5e-2,
    "float16": 1e-2,
    "int8": 0.5,
}


@dataclasses.dataclass(frozen=True)
class Parity:
    """The largest difference of one runtime.

    Attributes:
      runtime: what answered, with its signature.
      precision: key of `TOLERANCES`.
      difference: the largest; infinite for an answer that makes no sense.
      input: the golden input's name.
      reason: what differs.
    """

    runtime: str
    precision: str
    difference: float
    input: str
    reason: str

    @property
    def tolerance(self) -> float:
        """The difference that is allowed."""
        return TOLERANCES[self.precision]

    def to_json(self) -> dict[str, Any]:
        """As it stands in export.json."""
        return {
            "precision": self.precision,
            "largest_difference": self.difference,
            "tolerance": self.tolerance,
            "input": self.input,
        }


def measure(
    runtime: str,
    precision: str,
    golden: Golden,
    answers: Mapping[str, np.ndarray],
    task: Task,
    names: tuple[str, ...] = (),
) -> Parity:
    """Compares a runtime's answers with the golden ones.

    Args:
      runtime: its name.
      precision: key of `TOLERANCES`.
      golden: inputs, and what is expected of them.
      answers: what the runtime answered, by name: the golden ones, and those that name
        an output of one of these (`label`).
      task: that says how far an answer is from another.
      names: of the outputs.
    """
    for name, expected in golden.answers.items():
        if name not in answers or answers[name].shape != expected.shape:
            found = answers[name].shape if name in answers else "none"
            reason = f"{name} of shape {found} instead of {expected.shape}"
            return Parity(runtime, precision, np.inf, golden.names[0], reason)
    rows, reason = task.difference(golden.answers, answers, TOLERANCES[precision])
    rows = np.where(np.isnan(rows), np.inf, rows)
    for name, source in task.named_answers().items():
        wrong = _misnamed(answers, name, source, names)
        if wrong.any():
            rows, reason = np.where(wrong, np.inf, rows), name
    worst = int(rows.argmax())
    return Parity(runtime, precision, float(rows[worst]), golden.names[worst], reason)


def require(parities: Sequence[Parity]) -> None:
    """Lets pass what is within tolerance.

    Raises:
      ExportRefused: which runtime differs, on which input and by how much.
    """
    for parity in parities:
        if not parity.difference <= parity.tolerance:
            raise ExportRefused(
                f"nothing is published: {parity.runtime} differs from the training"
                f" graph on {parity.input} by {parity.difference:.3g} in"
                f" {parity.reason}; at most {parity.tolerance:g} is allowed for"
                f" {parity.precision}"
            )


def _misnamed(
    answers: Mapping[str, np.ndarray], name: str, source: str, names: tuple[str, ...]
) -> np.ndarray:
    """Rows in which `name` is there and not what is at the index in `source`."""
    if name not in answers:
        return np.zeros(len(answers[source]), np.bool_)
    known = np.take(np.array(names), answers[source], mode="clip")
    return (answers[name] != known).reshape(len(known), -1).any(axis=1)
