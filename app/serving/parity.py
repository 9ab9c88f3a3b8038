"""The gate: what other runtimes answer, compared with what the training graph did."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.serving.golden import Golden
from base.errors import ExportRefused

# The largest difference of a probability, or of a value as a share of the larger of it
# and its target's standard deviation.
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
    *,
    classes: tuple[str, ...] = (),
    std: tuple[float, ...] = (),
) -> Parity:
    """Compares a runtime's answers with the golden ones.

    Args:
      runtime: its name.
      precision: key of `TOLERANCES`.
      golden: inputs, and what the training graph answered.
      answers: what the runtime answered, by name; others than the golden ones are
        compared where they follow from these (`label`).
      classes: names by class, for classification.
      std: of the targets, for regression.
    """
    tolerance = TOLERANCES[precision]
    (name,) = {"probabilities", "value"} & set(golden.answers)
    expected, found = golden.answers[name], answers[name]
    if found.shape != expected.shape:
        reason = f"{name} of shape {found.shape} instead of {expected.shape}"
        return Parity(runtime, precision, np.inf, golden.names[0], reason)
    scale = np.maximum(np.abs(expected), std or 1.0) if name == "value" else 1.0
    rows = _largest(np.abs(found.astype(np.float64) - expected) / scale)
    reason = name
    if name == "probabilities":
        wrong = _mislabelled(answers, classes, tolerance)
        if wrong.any():
            rows, reason = np.where(wrong, np.inf, rows), "class_id or label"
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


def _largest(differences: np.ndarray) -> np.ndarray:
    """The largest of each row [n, …]: float64 [n]; infinite where one is no number."""
    rows = differences.reshape(len(differences), -1).max(1)
    return np.where(np.isnan(rows), np.inf, rows)


def _mislabelled(
    answers: Mapping[str, np.ndarray], classes: tuple[str, ...], tolerance: float
) -> np.ndarray:
    """Rows whose class is not the likeliest, or whose label is not the class's."""
    probabilities, class_id = answers["probabilities"], answers["class_id"]
    chosen = np.take_along_axis(probabilities, class_id[:, None], axis=1)[:, 0]
    wrong = chosen < probabilities.max(1) - tolerance
    if "label" in answers:
        wrong |= answers["label"] != np.array(classes)[class_id]
    return wrong
