"""What quantization costs on the validation split, and whether that is too much."""

import pathlib
from typing import Any

from app.configs.serving import ExportOptions
from app.serving import litert
from app.serving.exported_run import ExportedRun
from app.serving.signatures import Contract
from app.training.evaluation import Predictions
from base.errors import ExportRefused


def measure(
    run: ExportedRun,
    options: ExportOptions,
    contract: Contract,
    version: pathlib.Path,
    found: Predictions | None,
) -> dict[str, Any] | None:
    """The task's quality before and after, or None without quantization.

    Args:
      run: what is exported.
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
    task = contract.task
    quantized = litert.validation_answers(model, run.dataset, contract)
    exact = task.expected_answers(found.outputs, contract.temperature)
    before, after = (
        task.score(answers, found.labels) for answers in (exact, quantized)
    )
    loss = before - after if task.quality.direction == "max" else after - before
    metric = task.quality.name
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
