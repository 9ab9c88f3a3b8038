"""The data of a run: opened, described for dataset.json, and compared with it."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any

from app.configs.commands import TrainConfig
from app.runs.folder import RunFolder
from base.errors import UserError
from pipelines import patches
from pipelines.dataset import Dataset, open_dataset, open_whole
from pipelines.features import ExampleSpec
from pipelines.sources.base import TAKEN_FOR

# Examples that are left out and named on the screen; the rest is counted.
_NAMED = 20


def open_data(config: TrainConfig) -> Dataset:
    """Opens and examines the data.

    Raises:
      UserError: it is not there, or not fit for training.
    """
    dataset = open_dataset(config.data)
    taken_for = dataset.source.notes.get(TAKEN_FOR)
    if taken_for is not None:
        print(f"{dataset.source.name}: {taken_for}", file=sys.stderr)
    return _telling_what_is_left_out(dataset)


def open_other_data(
    config: TrainConfig, dataset: str, description: Mapping[str, Any]
) -> Dataset:
    """Opens all of another dataset, in the shapes and classes a run was trained on.

    Raises:
      UserError: it is not there, or holds other classes or kinds of examples.
    """
    features = ExampleSpec.from_json(description["features"])
    data = dataclasses.replace(config.data, dataset=dataset)
    return _telling_what_is_left_out(open_whole(data, features))


def _telling_what_is_left_out(dataset: Dataset) -> Dataset:
    """Names the examples of a dataset that cannot be used, on the error output."""
    for line in dataset.bad_examples[:_NAMED]:
        print(f"left out: {line}", file=sys.stderr)
    if dataset.bad_examples:
        print(
            f"{dataset.source.name}: {len(dataset.bad_examples)} examples are left out"
            f" (--max_bad_examples={dataset.config.max_bad_examples}); dataset.json"
            " names them all",
            file=sys.stderr,
        )
    return dataset


def describe_data(dataset: Dataset, whitening: int = 0) -> dict[str, Any]:
    """What dataset.json holds: the data's summary, and the statistics models need.

    Args:
      dataset: of the run.
      whitening: side of the patches that are whitened; 0 where none are.

    Raises:
      UserError: the examples have no such patches.
    """
    source, train = dataset.source, dataset.splits["train"]
    statistics: dict[str, Any] = {
        "target_mean": [],
        "target_std": [],
        **dataset.features.input.statistics(lambda: source.read(train)),
        **dataset.features.target.statistics(source.read_targets(train)),
    }
    if whitening:
        statistics["patches"] = patches.patch_statistics(dataset, whitening)
    return {**dataset.summary(), "statistics": statistics}


def require_same_data(
    folder: RunFolder, config: TrainConfig, now: Mapping[str, Any]
) -> None:
    """Compares the data's fingerprints with those the run began with.

    Args:
      folder: of the run.
      config: of the run.
      now: the `splits` of the data's summary.

    Raises:
      UserError: the data has changed, so the run could not be the same.
    """
    if not folder.dataset.exists():
        return
    before = json.loads(folder.dataset.read_text())["splits"]
    for name in now:
        if before[name]["sha256"] != now[name]["sha256"]:
            raise UserError(
                f"--dataset={config.data.dataset}: the {name} split has changed since"
                f" {folder.path} was started ({before[name]['examples']} examples then,"
                f" {now[name]['examples']} now); restore the data, or train on it in"
                " another --run_dir"
            )


def read_description(folder: RunFolder) -> dict[str, Any]:
    """What dataset.json says of the data the run was trained on.

    Raises:
      UserError: the run has not come so far as to write it.
    """
    if not folder.dataset.exists():
        raise UserError(
            f"--run_dir={folder.path}: the run has not started yet (there is no"
            " dataset.json); train first"
        )
    description: dict[str, Any] = json.loads(folder.dataset.read_text())
    return description
