"""Evaluates a finished or paused run: what `atelier evaluate` does.

The test split is seen once: `results.json` counts, and a second time wants `--again`.
"""

import contextlib
import dataclasses
import pathlib
from typing import Any

import tensorflow as tf

from app.configs.commands import EvaluateConfig, TrainConfig
from app.reporting import by_task, figures, predictions, summary
from app.reporting.keeping import Evaluated
from app.runs import validation_sets
from app.runs.answers import load_answering
from app.runs.data import (
    open_data,
    open_other_data,
    read_description,
    require_same_data,
)
from app.runs.folder import RunFolder
from app.runs.network import Network
from app.runs.numerics import contained, set_threads
from app.runs.results import Results
from app.runs.validation_sets import ValidationSet
from base.errors import UserError
from pipelines.sources.base import SPLITS


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What came of an evaluation.

    Attributes:
      of: the split, or the other dataset's name.
      metrics: by name, with `examples`, `checkpoint` and its `step`.
      figures: what was drawn.
      note: what the user should know of them; empty where there is nothing.
    """

    of: str
    metrics: dict[str, Any]
    figures: tuple[pathlib.Path, ...]
    note: str = ""


@contained()
def evaluate(config: EvaluateConfig) -> Evaluation:
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
        with contextlib.suppress(UserError):
            # Rounds as the training did; a process that has begun may round otherwise.
            set_threads(training)
        network, step = load_answering(folder, config.weights.checkpoint)
        subject = _open(folder, training, split, config.evaluation.dataset)
        if split == "test":
            results.count_test_evaluation()
            results.write(folder)
        metrics = measure(folder, training, network, subject, split or "all")
        metrics |= {"checkpoint": config.weights.checkpoint, "step": step}
        if split == "test":
            results.record_test(metrics)
            results.write(folder)
        figures.draw_evaluation(folder.path, split or "all")
        drawn = figures.draw_missing(folder.path)
        note = by_task.note(network.task.name)
    of = split or str(config.evaluation.dataset)
    return Evaluation(of, metrics, tuple(drawn), note or "")


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


def measure(
    folder: RunFolder,
    training: TrainConfig,
    network: Network,
    subject: ValidationSet,
    name: str,
) -> dict[str, Any]:
    """Metrics of a split, as training takes them; keeps what figures need as `name`."""
    evaluator = validation_sets.make_evaluator(
        subject, tf.distribute.get_strategy(), network, training.data.batch_size
    )
    evaluated = Evaluated(network.task, subject.dataset, subject.split)
    keeper = by_task.figures_of(network.task.name).keeper(evaluated)
    sums = evaluator.sums(observe=keeper.observe)
    predictions.write_predictions(folder.path, name, keeper.kept())
    metrics = network.metrics
    return {
        "examples": subject.examples,
        **metrics.results(sums),
        **metrics.intervals(sums),
    }


def report(evaluation: Evaluation) -> str:
    """What the command prints of it."""
    metrics = evaluation.metrics
    lines = [
        f"{evaluation.of}: {metrics['examples']:,} examples, {metrics['checkpoint']}"
        f" checkpoint (step {metrics['step']:,})"
    ]
    lines += [
        f"  {summary.describe_metric(metrics, metric)}"
        for metric, value in metrics.items()
        if isinstance(value, float)
    ]
    lines += [f"  {path}" for path in evaluation.figures]
    return "\n".join([*lines, *filter(None, [evaluation.note])])
