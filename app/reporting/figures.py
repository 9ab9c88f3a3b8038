"""The figures of a run folder, drawn from its own files: `draw_all` draws them again.

Read this first, then curves.py, by_task.py and the files of `tasks`.
"""

import pathlib
import sys
from collections.abc import Sequence

from app.reporting import by_task
from app.reporting.metric_facts import read_facts
from app.reporting.metrics import MetricsLog
from app.reporting.predictions import (
    evaluated_splits,
    predictions_file,
    read_predictions,
)
from app.run_files import RunFiles
from base.errors import EXIT_DONE, EXIT_USER_MISTAKE, UserError


def draw_all(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """Draws every figure that the run folder has the files for; returns their paths.

    Raises:
      UserError: one of the folder's files is damaged.
    """
    drawn = draw_training(run_dir)
    for split in evaluated_splits(run_dir):
        drawn += draw_evaluation(run_dir, split)
    return drawn


def draw_missing(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """Draws the figures whose files have changed since; returns the paths of all.

    Raises:
      UserError: one of the folder's files is damaged.
    """
    files = RunFiles(run_dir)
    if not _is_current(files.metrics, _training_figures(files)):
        draw_training(run_dir)
    for split in evaluated_splits(run_dir):
        drawn = _evaluation_figures(files, split)
        if not _is_current(predictions_file(run_dir, split), drawn):
            draw_evaluation(run_dir, split)
    paths = _training_figures(files)
    for split in evaluated_splits(run_dir):
        paths += _evaluation_figures(files, split)
    return paths


def draw_training(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """Draws loss, metrics and learning rate over epochs, from metrics.jsonl.

    Raises:
      UserError: one of the folder's files is damaged.
    """
    from app.reporting import curves  # here, as a training imports this at its start

    files = RunFiles(run_dir)
    lines = MetricsLog(files.metrics).read()
    best = files.read_results().get("best") or {}
    return curves.draw(lines, read_facts(files), best.get("epoch"), files.figures)


def draw_evaluation(run_dir: pathlib.Path, split: str) -> list[pathlib.Path]:
    """Draws how a split was predicted, from what its evaluation kept.

    Returns:
      The PNG and CSV files written, all named `SPLIT_….…`.

    Raises:
      UserError: the split was not evaluated, or its file is damaged.
    """
    predictions = read_predictions(run_dir, split)
    figures = by_task.figures_of(predictions.task)
    return figures.draw(predictions, split, RunFiles(run_dir).figures)


def _training_figures(files: RunFiles) -> list[pathlib.Path]:
    return sorted(files.figures.glob("*_over_training_epochs.png"))


def _evaluation_figures(files: RunFiles, split: str) -> list[pathlib.Path]:
    """Of a split, and of none whose name begins as its own does."""
    others = [o for o in evaluated_splits(files.path) if o.startswith(f"{split}_")]
    return [
        path
        for path in sorted(files.figures.glob(f"{split}_*"))
        if not any(path.name.startswith(f"{other}_") for other in others)
        and path not in _training_figures(files)
    ]


def _is_current(source: pathlib.Path, drawn: Sequence[pathlib.Path]) -> bool:
    """Whether what was drawn of a file is there, and was drawn of what it is now."""
    if not source.exists():
        return True
    changed = source.stat().st_mtime_ns
    return bool(drawn) and all(path.stat().st_mtime_ns >= changed for path in drawn)


def main(arguments: Sequence[str]) -> int:
    """Draws a run's figures again; returns the exit status."""
    if len(arguments) != 1:
        print("usage: python -m app.reporting.figures RUN_DIR", file=sys.stderr)
        return EXIT_USER_MISTAKE
    try:
        run_dir = pathlib.Path(arguments[0])
        drawn = draw_all(run_dir)
        if not drawn:
            raise UserError(f"{arguments[0]}: expected a run folder with an evaluation")
        print(*drawn, sep="\n")
        tasks = (read_predictions(run_dir, s).task for s in evaluated_splits(run_dir))
        for note in dict.fromkeys(filter(None, map(by_task.note, tasks))):
            print(note)
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_MISTAKE
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
