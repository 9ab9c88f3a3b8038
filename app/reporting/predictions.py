"""What an evaluation keeps of a split, so that its figures can be drawn again.

One file, `evaluations/SPLIT/predictions.npz`: arrays only, never a pickle.
"""

import dataclasses
import io
import pathlib
import re
import zipfile

import numpy as np

from base import files
from base.errors import UserError

FOLDER = "evaluations"
FILE_NAME = "predictions.npz"


@dataclasses.dataclass(frozen=True)
class SplitPredictions:
    """What a model said of every example of a split, in the split's order.

    Attributes:
      task: `classification` or `regression`.
      labels: int64 [n] classes, or float32 [n, values].
      outputs: float32 [n, classes] probabilities (not logits), or float32 [n, values].
      names: n names of examples, such as paths.
      classes: their names, by index; empty for regression.
      mistake_indices: int64 [k], examples whose pictures are kept.
      mistake_images: uint8 [k, H, W, 1 or 3], their pictures; None for a table.
    """

    task: str
    labels: np.ndarray
    outputs: np.ndarray
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    mistake_indices: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.int64)
    )
    mistake_images: np.ndarray | None = None

    def __post_init__(self) -> None:
        examples = len(self.labels)
        if len(self.outputs) != examples or len(self.names) != examples:
            raise ValueError(
                f"{examples} labels, {len(self.outputs)} outputs and {len(self.names)}"
                " names: expected as many of each"
            )
        if self.task == "classification" and self.outputs.shape[1:] != (
            len(self.classes),
        ):
            raise ValueError(
                f"outputs of shape {self.outputs.shape} for {len(self.classes)} classes"
            )
        if self.mistake_images is not None and len(self.mistake_images) != len(
            self.mistake_indices
        ):
            raise ValueError(
                f"{len(self.mistake_images)} pictures of {len(self.mistake_indices)}"
                " mistakes"
            )


def most_confident_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, count: int | None = None
) -> np.ndarray:
    """Indices of the examples that are wrong, the surest first: int64 [<= count].

    Args:
      labels: int64 [n] classes.
      probabilities: float32 [n, classes].
      count: how many at most; all by default.
    """
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    surest = np.argsort(-probabilities[wrong].max(1), kind="stable")
    return wrong[surest][:count].astype(np.int64)


def write_predictions(
    run_dir: pathlib.Path, split: str, predictions: SplitPredictions
) -> pathlib.Path:
    """Keeps `predictions` under the run folder, whole or not at all.

    Args:
      run_dir: the run folder.
      split: a file's name: letters, digits, `_`, `.` and `-`.
      predictions: of every example of the split.

    Returns:
      The file written.
    """
    arrays = {
        "task": np.array(predictions.task),
        "labels": predictions.labels,
        "outputs": predictions.outputs.astype(np.float32),
        "names": np.array(predictions.names, dtype=np.str_),
        "classes": np.array(predictions.classes, dtype=np.str_),
        "mistake_indices": predictions.mistake_indices.astype(np.int64),
    }
    if predictions.mistake_images is not None:
        arrays["mistake_images"] = predictions.mistake_images.astype(np.uint8)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    path = predictions_file(run_dir, split)
    files.write_bytes(path, content.getvalue())
    return path


def read_predictions(run_dir: pathlib.Path, split: str) -> SplitPredictions:
    """What `write_predictions` kept.

    Raises:
      UserError: the split was not evaluated, or its file is damaged.
    """
    path = predictions_file(run_dir, split)
    if not path.exists():
        raise UserError(
            f"{run_dir} holds no predictions for {split!r}: run `atelier evaluate"
            f" --run_dir={run_dir} --split={split}` first"
        )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return SplitPredictions(
                task=str(arrays["task"]),
                labels=arrays["labels"],
                outputs=arrays["outputs"],
                names=tuple(arrays["names"].tolist()),
                classes=tuple(arrays["classes"].tolist()),
                mistake_indices=arrays["mistake_indices"],
                mistake_images=arrays.get("mistake_images"),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is damaged ({error}): expected what `atelier evaluate` writes;"
            " evaluate again"
        ) from error


def evaluated_splits(run_dir: pathlib.Path) -> list[str]:
    """Names of the splits that the run folder holds predictions for, sorted."""
    return sorted(
        path.parent.name for path in (run_dir / FOLDER).glob(f"*/{FILE_NAME}")
    )


def predictions_file(run_dir: pathlib.Path, split: str) -> pathlib.Path:
    """Where a split's predictions lie."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", split):
        raise ValueError(f"a split's name has to be a file's name, got {split!r}")
    return run_dir / FOLDER / split / FILE_NAME
