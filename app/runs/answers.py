"""`answers.json`: what a task chooses on the validation split for its answers.

Thresholds of labels, for example. They belong to the weights of one step, the best
evaluation's; answers of other weights are given without, and that is said.
"""

import dataclasses
import sys

import numpy as np
import tensorflow as tf

from app.distribution.cluster import Cluster
from app.runs import validation_sets
from app.runs.data import open_data, read_description
from app.runs.folder import RunFolder
from app.runs.network import Network
from app.runs.trained import load_network
from app.runs.validation_sets import OWN, ValidationSet
from base import files
from models.tasks.base import Task
from models.tasks.registry import class_of
from models.tasks.registry import settle as settled
from pipelines.features import ExampleSpec


def settle(folder: RunFolder, cluster: Cluster, own: ValidationSet | None) -> None:
    """Has a finished run's task choose, where it does and has not yet.

    Args:
      folder: of the run.
      cluster: whose chief does so.
      own: the run's validation split; opened where it is None.
    """
    if not cluster.is_chief or folder.answers.exists():
        return
    training = folder.read_config()
    features = ExampleSpec.from_json(read_description(folder)["features"])
    asked = settled(training.loss.task, features.target.task)
    if not class_of(asked).tunes:
        return
    network, step = load_network(folder, "best")
    own = own or ValidationSet(open_data(training), OWN)
    evaluator = validation_sets.make_evaluator(
        own, tf.distribute.get_strategy(), network, training.data.batch_size
    )
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    evaluator.sums(observe=lambda labels, outputs: seen.append((labels, outputs)))
    labels, found = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    outputs = network.task.tuned(found, labels).outputs
    content = {"step": step, "thresholds": list(outputs.thresholds)}
    files.write_json(folder.answers, content | {"names": list(outputs.names)})


def load_answering(folder: RunFolder, checkpoint: str) -> tuple[Network, int]:
    """The network of a checkpoint, with what its task chose: what answers.

    Call it within `numerics.contained`.

    Args:
      folder: of the run.
      checkpoint: `best` or `last`.

    Raises:
      UserError: there is no such checkpoint, or it is not whole.
    """
    network, step = load_network(folder, checkpoint)
    task: Task = network.task
    if not task.tunes:
        return network, step
    found = files.read_json(folder.answers) if folder.answers.exists() else {}
    if found.get("step") != step:
        print(
            f"{folder.path}: no thresholds were chosen for the weights of step {step}:"
            " one half is taken (they are chosen for the best ones when a run is"
            " finished)",
            file=sys.stderr,
        )
        return network, step
    outputs = dataclasses.replace(task.outputs, thresholds=tuple(found["thresholds"]))
    return dataclasses.replace(network, task=type(task)(outputs)), step
