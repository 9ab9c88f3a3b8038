"""What a run is made of before it starts: `build_parts` from a configuration."""

import dataclasses
import time
from typing import Any

import numpy as np
import tensorflow as tf

from app.configs.commands import TrainConfig
from app.distribution import strategies
from app.distribution.agreement import Agreement
from app.distribution.cluster import ALONE, Cluster
from app.runs import (
    algorithms,
    own_parts,
    parameter_servers,
    precision,
    validation_sets,
)
from app.runs.data import describe_data, open_data
from app.runs.network import Network, build_network, build_optimizer, devices_of
from app.runs.numerics import set_numerics, set_threads
from app.runs.results import better_by
from app.runs.validation_sets import ValidationSet
from app.training import recomputation
from app.training.algorithm import Algorithm
from app.training.asynchronous import AsynchronousTrainer
from app.training.boundaries import step_of_epoch
from app.training.loop import Trainer
from app.training.segments import SynchronousTrainer
from app.training.step import TrainerParts
from base.fields import require
from pipelines import augmentation
from pipelines.dataset import Dataset
from pipelines.features import ExampleSpec
from pipelines.feed import Feed
from pipelines.order import Order

# A trial of a precision: this long, thrice, and this many steps at most; where a step
# takes as long as all three, one. Workers have clocks of their own, so among several
# the number of steps is fixed.
_TRIALS = 3
_TRIAL_SECONDS = 0.3
_TRIAL_STEPS = 400
_TRIAL_STEPS_TOGETHER = 3


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a run is made of, before it starts.

    Attributes:
      config: the flags, with what `auto` was settled to.
      cluster: those who run the loop; a chief of parameter servers does so alone.
      workers: to which a chief deals steps; 0 where there are no parameter servers.
      copy: the network once more, held here, where `network` is on parameter servers.
      notes: what the user should know of how it was put together.
    """

    config: TrainConfig
    strategy: tf.distribute.Strategy
    cluster: Cluster
    dataset: Dataset
    description: dict[str, Any]
    network: Network
    algorithm: Algorithm
    feed: Feed
    last_step: int
    validation: dict[str, ValidationSet]
    workers: int = 0
    copy: Network | None = None
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> Order:
        """The order of the training examples."""
        return self.feed.order


def build_parts(config: TrainConfig, cluster: Cluster = ALONE) -> Parts:
    """Opens the data and builds the model, without touching the run folder.

    Raises:
      UserError: flags or data are not fit.
    """
    if cluster.servers:
        parameter_servers.require_flags_fit(config)
    _require_one_clock(config, cluster)
    set_threads(config)
    strategy = _strategy(config, cluster)
    set_numerics(precision.with_precision(config, precision.FLOAT32))
    dataset = open_data(config)
    description = describe_data(dataset, config.model.whitening)
    sets = validation_sets.open_sets(config, dataset, description)
    description = validation_sets.describe_sets(description, sets)

    def assemble(config: TrainConfig) -> Parts:
        parts = _assemble(config, strategy, cluster, dataset, description, sets)
        return _with_copy(parts, cluster) if cluster.servers else parts

    if config.training.precision != precision.AUTO:
        return assemble(config)
    choice = precision.settle(
        _what_speed_depends_on(config, strategy, description),
        Agreement(strategy, cluster),
        lambda name: _speed(assemble(precision.with_precision(config, name))),
        on_cpu=config.distribution.logical_cpus > 1,
    )
    parts = assemble(precision.with_precision(config, choice.precision))
    note = f"precision {choice.precision}: {choice.reason}"
    return dataclasses.replace(parts, notes=(note, *parts.notes))


def _require_one_clock(config: TrainConfig, cluster: Cluster) -> None:
    """Workers evaluate together, so no clock of one of them may say when.

    Raises:
      UserError: one would.
    """
    every = config.training.evaluate_every
    together = len(cluster.workers) > 1 and not cluster.servers
    require(
        not (together and every.unit == "m"),
        "evaluate_every",
        every,
        "epochs or steps (200s) with several workers, whose clocks differ",
    )


def _strategy(config: TrainConfig, cluster: Cluster) -> tf.distribute.Strategy:
    if devices := devices_of(config):
        return strategies.place_on(devices, config.distribution, cluster)
    return strategies.make_strategy(config.distribution, cluster)


def _assemble(
    config: TrainConfig,
    strategy: tf.distribute.Strategy,
    cluster: Cluster,
    dataset: Dataset,
    description: dict[str, Any],
    sets: dict[str, ValidationSet],
) -> Parts:
    """Builds the model, its optimizer and what feeds it, from settled flags."""
    set_numerics(config)
    order = dataset.order(config.training.seed)
    last_step = step_of_epoch(config.training.epochs, order.steps_per_epoch)
    with strategy.scope():
        network = build_network(config, description, placed=True)
        if config.distribution.sync_batch_norm:
            strategies.synchronize_batch_norm(network.model)
        if config.distribution.recompute:
            recomputation.recompute(network.model)
        algorithm = algorithms.build(
            config.training.algorithm,
            network,
            lambda variables: build_optimizer(config, variables, order, last_step),
        )
    better_by(config.training.monitor, network, [*sets])
    augment = augmentation.parse(config.data.augment)
    strategies.require_divisible(
        config.data.batch_size, config.distribution, strategy, bool(augment.mixup)
    )
    feed = dataset.training(order, augment)
    notes = algorithms.tried(config, algorithm, dataset.features)
    return Parts(
        config=config,
        strategy=strategy,
        cluster=cluster,
        dataset=dataset,
        description=description,
        network=network,
        algorithm=algorithm,
        feed=feed,
        last_step=last_step,
        validation=sets,
        notes=(*network.notes, *notes),
    )


def _with_copy(parts: Parts, cluster: Cluster) -> Parts:
    """The parts of a chief of parameter servers, which evaluates a copy of its own.

    Raises:
      UserError: the workers cannot read the data.
    """
    parameter_servers.require_readable(parts.config, parts.dataset, parts.feed)
    copy = build_network(parts.config, parts.description)
    return dataclasses.replace(
        parts, cluster=ALONE, workers=len(cluster.workers), copy=copy
    )


def trainer_parts(parts: Parts) -> TrainerParts:
    """What the engine needs of them."""
    config = parts.config
    return TrainerParts(
        strategy=parts.strategy,
        algorithm=parts.algorithm,
        metrics=parts.network.metrics,
        feed=parts.feed,
        batch_size=config.data.batch_size,
        seed=config.training.seed,
        clip_norm=config.optimizer.clip_norm,
        accumulate=config.distribution.accumulate,
        cluster=parts.cluster,
        placed=bool(devices_of(config)),
    )


def make_trainer(parts: Parts) -> Trainer:
    """What runs the training steps of these parts."""
    given = trainer_parts(parts)
    if parts.workers:
        return AsynchronousTrainer(given, parts.workers)
    return SynchronousTrainer(given)


def _what_speed_depends_on(
    config: TrainConfig, strategy: tf.distribute.Strategy, description: dict[str, Any]
) -> dict[str, Any]:
    features = ExampleSpec.from_json(description["features"])
    return {
        "model": config.model.model,
        "model_args": config.model.model_args,
        "shape": list(features.input.shape),
        "outputs": features.target.width,
        "batch_size": config.data.batch_size,
        "augment": config.data.augment,
        "optimizer": config.optimizer.optimizer,
        **_own(config),
        "threads": config.training.threads,
        "accumulate": config.distribution.accumulate,
        "recompute": config.distribution.recompute,
        "replicas": strategy.num_replicas_in_sync,
    }


def _own(config: TrainConfig) -> dict[str, Any]:
    """The user's own parts, whose names alone do not say what they do."""
    found = own_parts.loaded(config)
    return {"own": [part["sha256"] for part in found]} if found else {}


def _speed(parts: Parts) -> float:
    """Examples per second of the training, the best of some short trials.

    The first step compiles, and its weights are thrown away. 0 where a value was not
    finite.
    """
    trainer = make_trainer(parts)
    sums = np.zeros(parts.network.metrics.size)
    trainer.start_at(0)
    trainer.run(0, 1, sums)
    first, steps, best, spent = 1, 1, 0.0, 0.0
    for _ in range(1 + _TRIALS):  # one step says how many make a trial
        started = time.monotonic()
        result = trainer.run(first, first + steps, sums)
        taken = max(time.monotonic() - started, 1e-6)
        if not result.finite:
            return 0.0
        first += steps
        best = max(best, steps / taken)
        spent += taken
        if parts.cluster.workers:  # each has to do the same
            steps = _TRIAL_STEPS_TOGETHER
        elif spent >= _TRIALS * _TRIAL_SECONDS:
            break
        else:
            steps = min(max(int(steps * _TRIAL_SECONDS / taken), 1), _TRIAL_STEPS)
    return best * parts.config.data.batch_size
