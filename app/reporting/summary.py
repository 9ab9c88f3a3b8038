"""What was reached and where it lies: the last lines of a command.

Also `python -m app.reporting.summary RUN_DIR`, and with `--tested` just whether the
test set has been seen (exit status 0 if so, 1 if not).
"""

import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from app.reporting.metric_facts import MetricFacts, read_facts
from app.run_files import RunFiles
from base.errors import UserError


def describe(run_dir: pathlib.Path) -> str:
    """The text at the end of a command, from the run folder's own files.

    Raises:
      UserError: there is no whole results.json.
    """
    results, facts = read_results(run_dir), read_facts(RunFiles(run_dir))
    parameters = results.get("parameters") or {}
    lines = [f"Run {results.get('state', 'started')} · {_effort(results)}"]
    if "total" in parameters:
        lines[0] += f" · {parameters['total']:,} parameters"
    best, validation, test = (results.get(k) for k in ("best", "validation", "test"))
    if best:
        lines.append(
            f"  best epoch          {best.get('epoch', 0):g}{_best_of(best, facts)}"
        )
    if validation:
        lines.append(f"  validation {_headline(validation, facts)}")
    for name, metrics in (results.get("validation_sets") or {}).items():
        lines.append(f"  {f'on {name}':10} {_headline(metrics, facts)}")
    lines.append(
        f"  test       {_headline(test, facts)}"
        if test
        else f"  test       not read: atelier evaluate --run_dir={run_dir} --split=test"
    )
    return "\n".join([*lines, *_places(run_dir)])


def read_results(run_dir: pathlib.Path) -> dict[str, Any]:
    """results.json.

    Raises:
      UserError: there is none, or it is damaged.
    """
    files = RunFiles(run_dir)
    results = files.read_results()
    if not results:
        raise UserError(
            f"{files.results}: expected what `atelier train` writes, and there is no"
            " such file; give the folder of a run"
        )
    return results


def _effort(results: Mapping[str, Any]) -> str:
    words = [
        f"{results.get('epochs', 0):g} epochs",
        f"{results.get('steps', 0):,} steps",
        f"{results.get('seconds', 0):.0f} s",
    ]
    resumes = results.get("resumes", 0)
    if resumes:
        words.append(f"resumed {resumes} time{'s' if resumes > 1 else ''}")
    return " · ".join(words)


def _best_of(best: Mapping[str, Any], facts: MetricFacts) -> str:
    values = {name.removeprefix("validation/"): best[name] for name in best}
    name = facts.first_of(values)
    return f" (validation {name} {values[name]:.4f})" if name else ""


def _headline(metrics: Mapping[str, Any], facts: MetricFacts) -> str:
    """For example `accuracy 0.9833 (95 %: 0.9521 to 0.9943) on 180 examples`."""
    name = facts.first_of(metrics)
    if name is None:
        return "nothing measured"
    figure = describe_metric(metrics, name, width=8)
    return f"{figure} on {metrics.get('examples', 0):,} examples"


def describe_metric(metrics: Mapping[str, Any], name: str, width: int = 0) -> str:
    """A figure with its interval, if it has one: `accuracy 0.98 (95 %: 0.95 to 0.99)`.

    Args:
      metrics: of a split; the interval of `NAME` is `NAME_95`.
      name: of the metric.
      width: to which the name is filled up.
    """
    text = f"{name:{width}} {metrics[name]:.4f}"
    if interval := metrics.get(f"{name}_95"):
        low, high = interval
        text += f" (95 %: {low:.4f} to {high:.4f})"
    return text


def _places(run_dir: pathlib.Path) -> list[str]:
    """Where to look, of what is there."""
    files = RunFiles(run_dir)
    places = (
        ("results    ", files.results, ""),
        ("figures    ", files.figures, ""),
        ("TensorBoard", files.tensorboard, "tensorboard --logdir="),
    )
    return [
        f"  {title} {command}{path}" for title, path, command in places if path.exists()
    ]


def main(arguments: Sequence[str]) -> int:
    """Prints the summary of a run; returns the exit status."""
    *options, run_dir = arguments or [""]
    if not run_dir or options not in ([], ["--tested"]):
        print(
            "usage: python -m app.reporting.summary [--tested] RUN_DIR", file=sys.stderr
        )
        return 2
    try:
        if options:
            return 0 if read_results(pathlib.Path(run_dir)).get("test") else 1
        print(describe(pathlib.Path(run_dir)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
