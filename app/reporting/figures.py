"""The figures of a run folder, drawn from its own files: `draw_all` draws them again.

Read this first, then curves.py, classification.py and regression.py.
"""

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from app.reporting.metrics import FILE_NAME, MetricsLog
from app.reporting.predictions import evaluated_splits, read_predictions
from base.errors import EXIT_DONE, EXIT_USER_MISTAKE, UserError

FOLDER = "figures"


def draw_all(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """Draws every figure that the run folder has the files for; returns their paths.

    Raises:
      UserError: one of the folder's files is damaged.
    """
    drawn = draw_training(run_dir)
    for split in evaluated_splits(run_dir):
        drawn += draw_evaluation(run_dir, split)
    return drawn


def draw_training(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """Draws loss, metrics and learning rate over epochs, from metrics.jsonl.

    Raises:
      UserError: metrics.jsonl is damaged.
    """
    from app.reporting import curves  # here, as a training imports this at its start

    lines = MetricsLog(run_dir / FILE_NAME).read()
    return curves.draw(lines, _best_epoch(run_dir), run_dir / FOLDER)


def draw_evaluation(run_dir: pathlib.Path, split: str) -> list[pathlib.Path]:
    """Draws how a split was predicted, from what its evaluation kept.

    Returns:
      The PNG and CSV files written, all named `SPLIT_….…`.

    Raises:
      UserError: the split was not evaluated, or its file is damaged.
    """
    from app.reporting import classification, regression

    predictions = read_predictions(run_dir, split)
    room = classification if predictions.task == "classification" else regression
    return room.draw(predictions, split, run_dir / FOLDER)


def _best_epoch(run_dir: pathlib.Path) -> float | None:
    """The best evaluation's epoch, once results.json knows it."""
    try:
        results: dict[str, Any] = json.loads((run_dir / "results.json").read_text())
        return float(results["best"]["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main(arguments: Sequence[str]) -> int:
    """Draws a run's figures again; returns the exit status."""
    if len(arguments) != 1:
        print("usage: python -m app.reporting.figures RUN_DIR", file=sys.stderr)
        return EXIT_USER_MISTAKE
    try:
        drawn = draw_all(pathlib.Path(arguments[0]))
        if not drawn:
            raise UserError(f"{arguments[0]}: expected a run folder with an evaluation")
        print(*drawn, sep="\n")
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_MISTAKE
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
