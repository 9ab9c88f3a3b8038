"""Evaluates a finished or paused run: what `atelier evaluate` does.

The test split is seen once: `results.json` counts, and a second time wants `--again`.
"""

import pathlib
from typing import Any

import numpy as np
import scipy.special
import tensorflow as tf

from app.configs.commands import EvaluateConfig, TrainConfig
from app.reporting import figures, predictions
from app.runs import validation_sets
from app.runs.data import (
    open_data,
    open_other_data,
    read_description,
    require_same_data,
)
from app.runs.folder import RunFolder
from app.runs.network import Network
from app.runs.results import Results
from app.runs.trained import load_network
from app.runs.validation_sets import ValidationSet
from app.training.evaluation import Predictions, predict
from base.errors import EXIT_DONE, UserError
from pipelines.sources.base import SPLITS

# Pictures of mistakes that are kept, the surest first.
_MISTAKES = 36


def evaluate(config: EvaluateConfig) -> int:
    """Evaluates the run, records the figures and draws them.

    Raises:
      UserError: no such run or split, or the test split was seen already.
    """
    assert config.run.run_dir is not None  # RunConfig refuses a missing one
    folder = RunFolder(pathlib.Path(config.run.run_dir))
    training = folder.read_config()
    with folder.locked():
        results = Results.read(folder)
        split = config.evaluation.split if config.evaluation.dataset is None else None
        if split == "test" and not config.evaluation.again:
            _require_unseen(folder, results)
        network, step = load_network(folder, config.weights.checkpoint)
        subject = _open(folder, training, split, config.evaluation.dataset)
        if split == "test":
            results.count_test_evaluation()
            results.write(folder)
        metrics = _assess(folder, network, subject, split or "all")
        metrics |= {"checkpoint": config.weights.checkpoint, "step": step}
        if split == "test":
            results.record_test(metrics)
            results.write(folder)
        print(_report(split or str(config.evaluation.dataset), metrics))
        for path in figures.draw_all(folder.path):
            print(f"  {path}")
    return EXIT_DONE


def _require_unseen(folder: RunFolder, results: Results) -> None:
    """Refuses a second look at the test split.

    Raises:
      UserError: it was seen already.
    """
    test = results.values["test"]
    if test and test["evaluations"] and "loss" in test:
        times = test["evaluations"]
        raise UserError(
            f"the test split of {folder.path} has been evaluated"
            f" {times} time{'s' if times > 1 else ''}; a figure that was looked at and"
            " then acted on is no test: give --again if you mean it"
        )


def _open(
    folder: RunFolder, training: TrainConfig, split: str | None, other: str | None
) -> ValidationSet:
    """A split of the run's own data, a further validation set, or another dataset.

    Raises:
      UserError: it is not there, has changed, or is of another kind.
    """
    description = read_description(folder)
    if split is None:
        assert other is not None
        return ValidationSet(open_other_data(training, other, description), "all")
    if split not in SPLITS:
        found = validation_sets.open_set(training, split, description)
        now = {split: found.dataset.describe_split(found.split)}
        require_same_data(folder, training, now)
        return found
    dataset = open_data(training)
    require_same_data(folder, training, dataset.summary()["splits"])
    return ValidationSet(dataset, split)


def _assess(
    folder: RunFolder, network: Network, subject: ValidationSet, name: str
) -> dict[str, Any]:
    """Metrics of a split; keeps what the figures need under `name`."""
    dataset = subject.dataset
    batches = dataset.evaluation(subject.split, dataset.config.batch_size)
    found = predict(network.model, batches)
    if len(found.labels) != subject.examples:
        raise RuntimeError(f"counted {len(found.labels)}, not {subject.examples}")
    _keep_predictions(folder, subject, name, found)
    return {"examples": subject.examples, **_metrics(network, found)}


def _metrics(network: Network, found: Predictions) -> dict[str, Any]:
    """The metrics of all predictions, accuracy with its 95 % interval."""
    labels, outputs = tf.constant(found.labels), tf.constant(found.outputs)
    losses = network.evaluation_loss(labels, outputs)
    sums = network.metrics.sums(labels, outputs, losses, tf.ones_like(losses))
    found_sums = sums.numpy()
    return network.metrics.results(found_sums) | network.metrics.intervals(found_sums)


def _keep_predictions(
    folder: RunFolder, subject: ValidationSet, name: str, found: Predictions
) -> None:
    dataset, split = subject.dataset, subject.split
    features = dataset.features
    outputs = found.outputs
    mistakes = np.zeros(0, np.int64)
    images = None
    if features.task == "classification":
        outputs = scipy.special.softmax(outputs, axis=-1)
        mistakes = predictions.most_confident_mistakes(found.labels, outputs, _MISTAKES)
        if features.kind == "image" and len(mistakes):
            images = dataset.examples(split, mistakes).inputs
    predictions.write_predictions(
        folder.path,
        name,
        predictions.SplitPredictions(
            task=features.task,
            labels=found.labels,
            outputs=outputs,
            names=tuple(dataset.names(split)),
            classes=features.classes,
            mistake_indices=mistakes,
            mistake_images=images,
        ),
    )


def _report(name: str, metrics: dict[str, Any]) -> str:
    lines = [
        f"{name}: {metrics['examples']:,} examples, {metrics['checkpoint']} checkpoint"
        f" (step {metrics['step']:,})"
    ]
    for metric, value in metrics.items():
        if metric == "accuracy":
            low, high = metrics["accuracy_95"]
            lines.append(f"  {metric} {value:.4f} (95 %: {low:.4f} to {high:.4f})")
        elif isinstance(value, float):
            lines.append(f"  {metric} {value:.4f}")
    return "\n".join(lines)
