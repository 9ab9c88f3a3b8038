"""`results.json`: what came out of a run, and the better of two evaluations."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from app.runs.folder import RunFolder
from app.runs.network import Network
from app.training.actions import Line
from app.training.state import TrainState
from base import files
from base.errors import UserError
from models.description import parameter_counts


@dataclasses.dataclass
class Results:
    """The values of results.json: README.md says what each means."""

    values: dict[str, Any]

    @classmethod
    def read(cls, folder: RunFolder) -> "Results":
        """What the folder holds, or the values of a run that has not begun."""
        begun = {
            "state": "interrupted",
            "failure": None,
            "steps": 0,
            "epochs": 0.0,
            "seconds": 0.0,
            "resumes": 0,
            "parameters": None,
            "task": None,
            "metrics": None,
            "best": None,
            "validation": None,
            "test": None,
            "weights_sha256": None,
        }
        return cls(begun | folder.read_results())

    def write(self, folder: RunFolder) -> None:
        """Replaces results.json."""
        files.write_json(folder.results, self.values)

    def start(self, *, resumed: bool, network: Network) -> None:
        """Counts a start; until an end is written the run counts as interrupted.

        Args:
          resumed: whether the run goes on.
          network: whose metrics' meanings are kept with the run.
        """
        self.values |= {"state": "interrupted", "failure": None}
        task, metrics = network.task, network.metrics.declared
        self.values["task"] = {
            "name": task.name,
            "class": task.outputs.task,  # a name here, or package.module:class
            "headline": task.headline,
        }
        self.values["metrics"] = {m.name: m.to_json() for m in metrics}
        self.values["resumes"] += int(resumed)

    def fail(self, state: str, failure: dict[str, str]) -> None:
        """Records why the run has not come to its end; see `failures`.

        A run that has ended before, such as one whose figures could not be drawn, has.
        """
        if self.values["state"] != "finished":
            self.values |= {"state": state, "failure": failure}

    def count_test_evaluation(self) -> None:
        """Counts a look at the test split, before it happens."""
        test = self.values["test"] or {"evaluations": 0}
        self.values["test"] = test | {"evaluations": test["evaluations"] + 1}

    def record_test(self, metrics: dict[str, Any]) -> None:
        """Records what was seen there."""
        evaluations = self.values["test"]["evaluations"]
        self.values["test"] = metrics | {"evaluations": evaluations}

    def end(self, state: str, training: TrainState, steps_per_epoch: float) -> None:
        """Records where the run is and how it ended."""
        progress = training.progress
        trainable, total = parameter_counts(training.model)
        self.values |= {
            "state": state,
            "steps": progress.step,
            "epochs": round(progress.step / steps_per_epoch, 4),
            "seconds": round(progress.seconds, 3),
            "parameters": {"trainable": trainable, "total": total},
            "best": _metrics_of(progress.best, "epoch", "step") or None,
            "validation": _metrics_of(progress.last) or None,
        }
        if sets := _sets_of(progress.last):
            self.values["validation_sets"] = sets
            self.values["best"]["validation_sets"] = _sets_of(progress.best)


def _metrics_of(line: Line, *plain: str) -> dict[str, float]:
    """The validation metrics of a line of metrics.jsonl, without their prefix."""
    kept = {name: line[name] for name in plain if name in line}
    prefix = "validation/"
    return kept | {
        name.removeprefix(prefix): value
        for name, value in line.items()
        if name.startswith(prefix)
    }


def _sets_of(line: Line) -> dict[str, dict[str, float]]:
    """The metrics of the further validation sets, by their names."""
    sets: dict[str, dict[str, float]] = {}
    for tag, value in line.items():
        if tag.startswith("validation_"):
            name, _, metric = tag.removeprefix("validation_").partition("/")
            sets.setdefault(name, {})[metric] = value
    return sets


def better_by(
    monitor: str, network: Network, sets: Sequence[str] = ("validation",)
) -> Callable[[Line, Line], bool]:
    """Whether one line of metrics.jsonl is better than another.

    Args:
      monitor: a metric of the validation split, or of a set: `validation_clean/loss`.
      network: whose task has the metric.
      sets: what is evaluated, as metrics.jsonl names it.

    Raises:
      UserError: `monitor` is no metric of the task, or of no set.
    """
    declared = {metric.name: metric for metric in network.metrics.declared}
    prefix, _, metric = monitor.rpartition("/")
    prefix = prefix or "validation"
    if metric == "auto":
        metric = network.task.monitor
    if metric not in declared or prefix not in sets:
        of_sets = "" if len(sets) < 2 else f", alone or after {'/, '.join(sets)}/"
        raise UserError(
            f"--monitor={monitor}: expected auto or one of {', '.join(declared)}"
            f"{of_sets}"
        )

    sign = 1 if declared[metric].direction == "max" else -1

    def score(line: Line) -> tuple[float, float]:
        return sign * line[f"{prefix}/{metric}"], -line[f"{prefix}/loss"]

    return lambda line, best: score(line) > score(best)
