"""What was reached and where it lies: the last lines of a command.

Also `python -m app.reporting.summary RUN_DIR`, and with `--tested` just whether the
test set has been seen (exit status 0 if so, 1 if not).
"""

import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from base.errors import UserError

# The metric that a reader looks for first, with its name and its interval's.
_HEADLINES = (("accuracy", "accuracy_95"), ("mae", None), ("loss", None))


def describe(run_dir: pathlib.Path) -> str:
    """The text at the end of a command, from the run folder's own files.

    Raises:
      UserError: there is no whole results.json.
    """
    results = read_results(run_dir)
    parameters = results.get("parameters") or {}
    lines = [f"Run {results.get('state', 'started')} · {_effort(results)}"]
    if "total" in parameters:
        lines[0] += f" · {parameters['total']:,} parameters"
    best, validation, test = (results.get(k) for k in ("best", "validation", "test"))
    if best:
        lines.append(f"  best epoch          {best.get('epoch', 0):g}{_best_of(best)}")
    if validation:
        lines.append(f"  validation {_headline(validation)}")
    for name, metrics in (results.get("validation_sets") or {}).items():
        lines.append(f"  {f'on {name}':10} {_headline(metrics)}")
    lines.append(
        f"  test       {_headline(test)}"
        if test
        else f"  test       not read: atelier evaluate --run_dir={run_dir} --split=test"
    )
    return "\n".join([*lines, *_places(run_dir)])


def read_results(run_dir: pathlib.Path) -> dict[str, Any]:
    """results.json.

    Raises:
      UserError: there is none, or it is not JSON.
    """
    path = run_dir / "results.json"
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: expected what `atelier train` writes ({error}); give the"
            " folder of a run"
        ) from error
    if not isinstance(results, dict):
        raise UserError(f"{path}: expected a JSON object")
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


def _best_of(best: Mapping[str, Any]) -> str:
    for name, _ in _HEADLINES:
        value = best.get(f"validation/{name}", best.get(name))
        if value is not None:
            return f" (validation {name} {value:.4f})"
    return ""


def _headline(metrics: Mapping[str, Any]) -> str:
    """For example `accuracy 0.9833 [0.9521, 0.9943] on 180 examples`."""
    for name, interval_name in _HEADLINES:
        if name in metrics:
            text = f"{name:8} {metrics[name]:.4f}"
            interval = metrics.get(interval_name) if interval_name else None
            if interval:
                text += f" (95 %: {interval[0]:.4f} to {interval[1]:.4f})"
            return f"{text} on {metrics.get('examples', 0):,} examples"
    return "nothing measured"


def _places(run_dir: pathlib.Path) -> list[str]:
    """Where to look, of what is there."""
    places = (
        ("results    ", "results.json", ""),
        ("figures    ", "figures", ""),
        ("TensorBoard", "tensorboard", "tensorboard --logdir="),
    )
    return [
        f"  {title} {command}{run_dir / name}"
        for title, name, command in places
        if (run_dir / name).exists()
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
