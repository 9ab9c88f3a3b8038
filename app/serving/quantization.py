"""What quantization costs on the validation split, and whether that is too much."""

from typing import Any

import numpy as np

from app.errors import ExportRefused
from app.serving import litert
from app.serving.config import ExportOptions
from app.serving.signatures import Contract
from app.serving.subject import Subject
from app.training.evaluation import Predictions


def measure(
    subject: Subject,
    options: ExportOptions,
    contract: Contract,
    model: bytes,
    found: Predictions | None,
) -> dict[str, Any] | None:
    """The validation metric before and after, or None without quantization.

    Args:
      subject: what is exported.
      options: how.
      contract: of the export.
      model: the quantized LiteRT model.
      found: what the model itself said of the validation split.

    Raises:
      ExportRefused: more is lost than `--max_accuracy_loss`.
    """
    if options.quantize == "none":
        return None
    assert found is not None  # --quantize asks for it
    answers = litert.validation_answers(model, subject.dataset, contract)
    if contract.features.task == "classification":
        metric = "accuracy"
        before = _accuracy(found.outputs.argmax(1), found.labels)
        after = _accuracy(answers["class_id"], found.labels)
        loss = before - after
    else:
        metric = "mean absolute error, in standard deviations"
        std = np.array(subject.network.outputs.std or 1.0)
        before = _error(found.outputs, found.labels, std)
        after = _error(answers["value"], found.labels, std)
        loss = after - before
    if loss > options.max_accuracy_loss:
        raise ExportRefused(
            f"nothing is published: --quantize={options.quantize} takes the validation"
            f" {metric} from {before:.4f} to {after:.4f}, more than"
            f" --max_accuracy_loss={options.max_accuracy_loss:g} allows"
        )
    return {
        "kind": options.quantize,
        "metric": metric,
        "before": before,
        "after": after,
        "loss": loss,
    }


def _accuracy(class_id: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(class_id == labels))


def _error(values: np.ndarray, targets: np.ndarray, std: np.ndarray) -> float:
    rows = len(targets)
    errors = np.abs(values.reshape(rows, -1) - targets.reshape(rows, -1))
    return float(np.mean(errors / std))
