"""What an evaluation keeps of a split, so that its figures can be drawn again.

One file, `evaluations/SPLIT/predictions.npz`: arrays only, never a pickle.
"""

import dataclasses
import io
import pathlib
import re
import zipfile
from collections.abc import Mapping

import numpy as np

from app.run_files import RunFiles
from base import files
from base.errors import UserError

FILE_NAME = "predictions.npz"
_FIXED = ("task", "labels", "outputs", "names", "classes")


@dataclasses.dataclass(frozen=True)
class SplitPredictions:
    """What a model said of the examples of a split, in the split's order.

    The file of the task decides what that is, see `by_task`; here is what it is for
    tasks whose outputs are small, where all n examples are kept.

    Attributes:
      task: its name.
      labels: [n, …], such as int64 [n] classes, or float32 [n, values].
      outputs: [n, …], such as float32 [n, classes] probabilities (not logits), or
        float32 [n, values].
      names: n names of examples, such as paths.
      classes: their names, by index; empty where there are none.
      more: arrays of the task's own, by name.
    """

    task: str
    labels: np.ndarray
    outputs: np.ndarray
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    more: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        examples = len(self.labels)
        if len(self.outputs) != examples or len(self.names) != examples:
            raise ValueError(
                f"{examples} labels, {len(self.outputs)} outputs and {len(self.names)}"
                " names: expected as many of each"
            )
        if taken := set(self.more) & set(_FIXED):
            raise ValueError(f"arrays {taken} of the task's own: the names are taken")


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
        "outputs": predictions.outputs,
        "names": np.array(predictions.names, dtype=np.str_),
        "classes": np.array(predictions.classes, dtype=np.str_),
        **predictions.more,
    }
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
                more={name: arrays[name] for name in arrays if name not in _FIXED},
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is damaged ({error}): expected what `atelier evaluate` writes;"
            " evaluate again"
        ) from error


def evaluated_splits(run_dir: pathlib.Path) -> list[str]:
    """Names of the splits that the run folder holds predictions for, sorted."""
    kept = RunFiles(run_dir).evaluations.glob(f"*/{FILE_NAME}")
    return sorted(path.parent.name for path in kept)


def predictions_file(run_dir: pathlib.Path, split: str) -> pathlib.Path:
    """Where a split's predictions lie."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", split):
        raise ValueError(f"a split's name has to be a file's name, got {split!r}")
    return RunFiles(run_dir).evaluations / split / FILE_NAME
