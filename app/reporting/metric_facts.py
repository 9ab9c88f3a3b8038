"""What a run's metrics mean: their titles and directions, and which one comes first.

They stand in the run itself, in results.json. A run made before they did is looked up
by its task; of what nobody knows the name has to do.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from app import tf_startup
from app.run_files import RunFiles
from base.errors import UserError

# What stands beside the metrics of a split, or of the best epoch.
_NO_METRICS = ("epoch", "step", "examples", "evaluations", "loss")


@dataclasses.dataclass(frozen=True)
class MetricFacts:
    """Of one run.

    Attributes:
      declared: `title`, `direction` and `unit` of each metric, by its name, in order.
      headline: the metric that a reader looks for first; empty where it is not known.
    """

    declared: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    headline: str = ""

    def title(self, name: str) -> str:
        """The metric's name for people."""
        neutral = name.replace("_", " ").capitalize()
        return self.declared.get(name, {}).get("title", neutral)

    def first_of(self, values: Mapping[str, Any]) -> str | None:
        """The metric of `values` to be named first: the headline if it is there."""
        if self.headline in values:
            return self.headline
        for name, value in values.items():
            if isinstance(value, float) and name not in _NO_METRICS:
                return name
        return "loss" if "loss" in values else None


def read_facts(files: RunFiles) -> MetricFacts:
    """The facts of a run.

    Raises:
      UserError: results.json or dataset.json is damaged.
    """
    results = files.read_results()
    if results.get("metrics") and results.get("task"):
        return MetricFacts(results["metrics"], results["task"]["headline"])
    return _of_task(files.read_dataset().get("features") or {})


def _of_task(features: Mapping[str, Any]) -> MetricFacts:
    """Of the task that dataset.json named before results.json told of metrics."""
    if "task" not in features:
        return MetricFacts()
    tf_startup.import_tensorflow()  # here, as a run that tells needs none
    from models.spec import Outputs
    from models.tasks.registry import task_of

    size = len(features.get("classes") or ()) or features.get("targets") or 1
    try:
        task = task_of(Outputs(features["task"], size))
    except UserError:
        return MetricFacts()
    return MetricFacts({m.name: m.to_json() for m in task.metrics}, task.headline)
