"""What quantization costs on the validation split, and whether that is too much."""

import pathlib
from typing import Any

import numpy as np

from app.configs.serving import ExportOptions
from app.serving import litert
from app.serving.exported_run import Subject
from app.serving.signatures import Contract
from app.training.evaluation import Predictions
from base.errors import ExportRefused


def measure(
    subject: Subject,
    options: ExportOptions,
    contract: Contract,
    version: pathlib.Path,
    found: Predictions | None,
) -> dict[str, Any] | None:
    """The validation metric before and after, or None without quantization.

    Args:
      subject: what is exported.
      options: how.
      contract: of the export.
      version: the folder with the quantized LiteRT model.
      found: what the model itself said of the validation split.

    Raises:
      ExportRefused: more is lost than `--max_accuracy_loss`.
    """
    if options.quantize == "none":
        return None
    assert found is not None  # --quantize asks for it
    model = (version / litert.FILE_NAME).read_bytes()
    answers = litert.validation_answers(model, subject.dataset, contract)
    if contract.features.task == "classification":
        metric, sign = "accuracy", 1
        before = _accuracy(found.outputs.argmax(1), found.labels)
        after = _accuracy(answers["class_id"], found.labels)
    else:
        metric, sign = "mean absolute error, in standard deviations", -1
        std = np.array(subject.network.task.outputs.std or 1.0)
        before = _error(found.outputs, found.labels, std)
        after = _error(answers["value"], found.labels, std)
    loss = sign * (before - after)
    _require(loss, options, f"{metric} from {before:.4f} to {after:.4f}")
    return {
        "kind": options.quantize,
        "metric": metric,
        "before": before,
        "after": after,
        "loss": loss,
    }


def _require(loss: float, options: ExportOptions, change: str) -> None:
    if loss > options.max_accuracy_loss:
        raise ExportRefused(
            f"nothing is published: --quantize={options.quantize} takes the validation"
            f" {change}, more than"
            f" --max_accuracy_loss={options.max_accuracy_loss:g} allows"
        )


def _accuracy(class_id: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(class_id == labels))


def _error(values: np.ndarray, targets: np.ndarray, std: np.ndarray) -> float:
    rows = len(targets)
    errors = np.abs(values.reshape(rows, -1) - targets.reshape(rows, -1))
    return float(np.mean(errors / std))
