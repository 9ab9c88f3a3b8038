"""What a run is validated on: its own split, and the sets of `--validation_sets`.

Each has a prefix in metrics.jsonl: `validation`, and `validation_NAME`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from app.configs.commands import TrainConfig
from app.distribution.cluster import ALONE, Cluster
from app.runs.data import open_other_data
from app.runs.network import Network
from app.training.evaluation import Evaluator
from base.errors import UserError
from pipelines.config import parse_validation_sets
from pipelines.dataset import Dataset
from pipelines.resident_evaluation import HeldBatches

OWN = "validation"
_PREFIX = "validation_"


@dataclasses.dataclass(frozen=True)
class ValidationSet:
    """A split of a dataset that is evaluated while a run trains."""

    dataset: Dataset
    split: str

    @property
    def examples(self) -> int:
        """How many there are."""
        return self.dataset.split_sizes[self.split]


def open_sets(
    config: TrainConfig, dataset: Dataset, description: Mapping[str, Any]
) -> dict[str, ValidationSet]:
    """The sets of a run by their prefix in metrics.jsonl, its own split first.

    Raises:
      UserError: one is not there, or has other classes or kinds of examples.
    """
    sets = {OWN: ValidationSet(dataset, OWN)}
    for prefix in prefixes(config)[1:]:
        sets[prefix] = open_set(config, prefix, description)
    return sets


def open_set(
    config: TrainConfig, prefix: str, description: Mapping[str, Any]
) -> ValidationSet:
    """The set of `--validation_sets` of this prefix.

    Raises:
      UserError: there is none, or it does not fit the run.
    """
    paths = parse_validation_sets(config.data.validation_sets)
    name = prefix.removeprefix(_PREFIX)
    if not prefix.startswith(_PREFIX) or name not in paths:
        known = ", ".join(["train", "test", *prefixes(config)])
        raise UserError(f"--split={prefix}: the run has {known}")
    try:
        other = open_other_data(config, paths[name], description)
    except UserError as mistake:
        raise UserError(f"--validation_sets, {name}: {mistake}") from mistake
    return ValidationSet(other, "all")


def make_evaluators(
    sets: Mapping[str, ValidationSet],
    strategy: tf.distribute.Strategy,
    network: Network,
    batch_size: int,
    cluster: Cluster,
    copy: Network | None = None,
) -> dict[str, Evaluator]:
    """What evaluates each of the sets, by their prefix.

    Args:
      sets: by their prefix.
      strategy: the devices that `network` is on.
      network: what is evaluated.
      batch_size: of the evaluation.
      cluster: the workers, of which this process is one.
      copy: the network once more, on this process's own device: evaluated in place of
        `network`, with its weights.
    """
    return {
        prefix: make_evaluator(one, strategy, network, batch_size, cluster, copy)
        for prefix, one in sets.items()
    }


def make_evaluator(
    one: ValidationSet,
    strategy: tf.distribute.Strategy,
    network: Network,
    batch_size: int,
    cluster: Cluster = ALONE,
    copy: Network | None = None,
) -> Evaluator:
    """What evaluates a set; see `make_evaluators`."""
    return Evaluator(
        strategy=strategy if copy is None else tf.distribute.get_strategy(),
        model=(copy or network).model,
        loss=network.evaluation_loss,
        metrics=network.metrics,
        batches=_batches(one, batch_size),
        examples=one.examples,
        batch_size=batch_size,
        cluster=cluster,
        source=None if copy is None else network.model,
    )


def _batches(one: ValidationSet, batch_size: int) -> tf.data.Dataset | HeldBatches:
    """Of a set: in memory where it fits there, else streamed."""
    held = one.dataset.held_evaluation(one.split, batch_size)
    return one.dataset.evaluation(one.split, batch_size) if held is None else held


def prefixes(config: TrainConfig) -> list[str]:
    """The prefixes of a run's sets in metrics.jsonl, its own split's first."""
    names = parse_validation_sets(config.data.validation_sets)
    return [OWN, *(f"{_PREFIX}{name}" for name in names)]


def describe_sets(
    description: dict[str, Any], sets: Mapping[str, ValidationSet]
) -> dict[str, Any]:
    """dataset.json with the further sets beside the splits of the run's own data.

    Args:
      description: of the run's own data.
      sets: of the run; its own split is described already.
    """
    own = sets[OWN].dataset
    splits, duplicates = dict(description["splits"]), dict(description["duplicates"])
    for prefix, one in sets.items():
        if prefix != OWN:
            splits[prefix] = {
                "source": one.dataset.source.name,
                **one.dataset.describe_split(one.split),
            }
            duplicates[f"{prefix} in train"] = own.count_known(one.dataset, one.split)
    return description | {"splits": splits, "duplicates": duplicates}
