"""`atelier.train`: the command's work from a Python program or a notebook."""

import os
import pathlib
import sys
from typing import Any

from app.configs import keywords
from app.configs.commands import TrainConfig
from app.runs.folder import RunFolder
from atelier import own_data, own_models
from atelier.run import Run
from atelier.start import start
from base import files, given
from base.given import Given


def train(*, dataset: Any = None, model: Any = None, **flags: Any) -> Run:
    """Trains into `run_dir`, or goes on with the run in it: the same call resumes.

    An interrupt (of the kernel, or Ctrl-C) pauses: the run is saved, and given with the
    state `interrupted`. So do SIGTERM, SIGUSR1 and `stop_after`. Off the main thread no
    signal is heard.

    Args:
      dataset: a name or path as `--dataset` takes it; arrays (x, y) or (x_train,
        y_train, x_test, y_test), or by their names in an npz file; a table of pandas
        or Arrow, with `target`.
      model: a name as `--model` takes it; a function of (inputs, outputs, **arguments)
        that makes a keras.Model; or a keras.Model. Of the last the architecture and
        the weights that it has now are taken over, once, into a copy; neither its
        optimizer, loss and metrics (`compile`) nor the model itself are used further.
      **flags: any flag of `atelier train`, by its name without dashes. Sequences and
        mappings stand for values with commas: `image_size=(32, 32)`,
        `model_args={"width": 16}`. `flagfile="recipes/…"` reads flags from a file.

    Returns:
      The run, `finished` or `interrupted`.

    Raises:
      UserError: the flags, the data or the folder are not fit; nothing was changed.
      Interrupted: the disk can no longer be written; the same call goes on.
      TrainingFailed: a value was not finite, or a record could not be read.
    """
    parts = {
        "dataset": _handed_over(own_data.hand_over, dataset),
        "model": _handed_over(own_models.hand_over, model),
    }
    named = {
        flag: part.name if isinstance(part, Given) else part
        for flag, part in parts.items()
    }
    config = keywords.parse(TrainConfig, {**flags, **named})
    held = tuple(part for part in parts.values() if isinstance(part, Given))
    folder = RunFolder(pathlib.Path(str(config.run.run_dir)))
    if isinstance(parts["model"], Given) and parts["model"].facts:
        own_models.require_precision(model, config.training.precision)
        _tell_what_is_not_used(model, parts["model"], folder)
    start()
    from app.runs import train as training

    with given.at_hand(held):
        outcome = training.train(config)
    if outcome.told:
        print(outcome.told)
    return Run(folder.path, held)


def _handed_over(hand_over: Any, value: Any) -> Given | str | None:
    """What stands for a value: a text for itself."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    part: Given | str = hand_over(value)
    return part


def _tell_what_is_not_used(model: Any, part: Given, folder: RunFolder) -> None:
    """Says on the error output what of a Keras model the run does not go by."""
    if model.compiled:
        print(
            "model: what it was compiled with (optimizer, loss, metrics) is not used;"
            " the flags say it",
            file=sys.stderr,
        )
    if folder.is_finished() or not folder.environment.exists():
        return
    first = files.read_json(folder.environment)["starts"][0]
    began = first.get("given", {}).get(part.name)
    if began and began["weights_sha256"] != part.facts["weights_sha256"]:
        print(
            f"model: its weights are others than those that {folder.path} began with; a"
            " run that goes on has its checkpoint's",
            file=sys.stderr,
        )
