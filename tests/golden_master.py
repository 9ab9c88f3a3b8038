"""The golden master: proves that a restructuring changes no bits of what comes out.

    python -m tests.golden_master write FILE [--root=CHECKOUT] [--cases=a,b]
    python -m tests.golden_master compare FILE [--root=CHECKOUT] [--cases=a,b]

`write` makes small data, runs the command line of CHECKOUT (by default this one) on it,
case by case, and keeps what came out; `compare` does so again and names what differs,
with exit status 1. Bits are those of one kind of machine. Two flags more:

    --perturb  the negative control: another seed, which has to be found in every case
    --fresh    each command imports the checkout's modules by itself, as on a command
               line, so that an import that one forgets shows; takes half as long again

Nothing of CHECKOUT is imported here, and of its modules `app.main` alone is named, so
that two checkouts may differ in all others. The cases are in golden_cases.py, their
data in golden_data.py, what is compared in `record_of`. Seconds, speeds and memory are
not, nor what holds names of functions, times or versions: the bytes of SavedModels,
LiteRT models, figures and event files, and `features` in dataset.json. Of an export its
answers to golden inputs are compared instead.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tests.golden_cases import CASES, Command, commands_of
from tests.golden_data import make_data

_HERE = pathlib.Path(__file__).resolve().parents[1]
# What differs between two equal runs, and may.
_TIMINGS = (
    "seconds",
    "examples_per_second",
    "input_wait",
    "peak_memory_bytes",
    "peak_gpu_memory_bytes",
)
_SHOWN = 8

# Runs each command in a fork of one process that has imported what all of them need
# and started none of it: a command's TensorFlow is as fresh as on a command line. The
# checkout's own modules are among it, whatever they are called, but for --fresh.
_FORKING = """
import importlib, json, os, pathlib, pkgutil, sys
import app.main
import h5py, keras, matplotlib.font_manager, pyarrow, tensorflow
root, fresh = os.environ["PYTHONPATH"], sys.argv[1:] == ["--fresh"]
assert app.main.__file__.startswith(root + os.sep), (app.main.__file__, root)
for package in sorted(path.parent for path in pathlib.Path(root).glob("*/__init__.py")):
    if fresh or package.name in ("benchmarks", "tests"):
        continue
    for module in pkgutil.walk_packages([str(package)], package.name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
for line in sys.stdin:
    arguments, log = json.loads(line)
    child = os.fork()
    if not child:
        written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(written, 1)
        os.dup2(written, 2)
        sys.exit(app.main.main(arguments))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
"""


def record_of(name: str, folder: pathlib.Path) -> dict[str, Any]:
    """All that came out of a case and has to be equal; `folder` is where it ran."""
    run = folder / "runs" / name
    results = json.loads((run / "results.json").read_text())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    dataset = json.loads((run / "dataset.json").read_text())
    dataset.pop("features")
    outputs = sorted(folder.glob(f"{name}-*.csv"))
    return {
        "weights_sha256": results.pop("weights_sha256"),
        "results": _without_timings(results),
        "metrics": [_without_timings(json.loads(line)) for line in lines],
        "dataset": dataset,
        "model": (run / "model.txt").read_text().splitlines(),
        "evaluation": _evaluation(run),
        "predictions": {
            output.stem.rpartition("-")[2]: {
                "sha256": _sha256(output.read_bytes()),
                "first_lines": output.read_text().splitlines()[:4],
            }
            for output in outputs
        },
        "export": _export(run / "export" / "1"),
        "packed": _packed(folder / "packed", name),
    }


def _without_timings(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    kept = (name for name in content if name not in _TIMINGS)
    return {name: _without_timings(content[name]) for name in kept}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _arrays(path: pathlib.Path) -> dict[str, str]:
    """SHA-256 of an npz file's arrays; the file itself holds times."""
    with np.load(path) as arrays:
        return {name: _array_sha256(arrays[name]) for name in sorted(arrays)}


def _array_sha256(array: np.ndarray) -> str:
    header = f"{array.dtype.str} {array.shape} ".encode()
    return _sha256(header + np.ascontiguousarray(array).tobytes())


def _evaluation(run: pathlib.Path) -> dict[str, Any]:
    """What `evaluate` kept: each example's prediction, and its tables."""
    predictions = sorted(run.glob("evaluations/*/predictions.npz"))
    tables = sorted(run.glob("figures/*.csv"))
    arrays = {path.parent.name: _arrays(path) for path in predictions}
    return arrays | {path.stem: _sha256(path.read_bytes()) for path in tables}


def _export(version: pathlib.Path) -> dict[str, Any] | None:
    """What an export is and answered, without times, versions and files' bytes.

    Golden inputs' contents come in their order: their names may change by themselves.
    """
    if not version.is_dir():
        return None
    content = json.loads((version / "export.json").read_text())
    kept = ("signatures", "temperature", "calibration", "quantization", "warm_up")
    labels = version / "assets" / "labels.txt"
    golden = _arrays(version / "golden" / "golden.npz")
    del golden["names"]
    with np.load(version / "golden" / "golden.npz") as arrays:
        names = [str(name) for name in arrays["names"]]
    inputs = [version / "golden" / name for name in names]
    return {
        **{key: content[key] for key in (*kept, "weights_sha256", "max_pixels")},
        "parity": {
            check: {key: found[key] for key in ("largest_difference", "tolerance")}
            for check, found in content["parity"].items()
        },
        "labels": labels.read_text() if labels.exists() else None,
        "golden": golden,
        "golden_contents": [_sha256(p.read_bytes()) for p in inputs if p.exists()],
        "golden_names": names,
    }


def _packed(folder: pathlib.Path, name: str) -> dict[str, str]:
    """SHA-256 of the files that hold a packed dataset's examples."""
    found = sorted((folder / name).glob("*record*")) + sorted(folder.glob(f"{name}.*"))
    return {path.name: _sha256(path.read_bytes()) for path in found}


class CommandFailed(Exception):
    """A command ended otherwise than it should: which, and what it said."""


class Runner:
    """Runs commands of a checkout, in a folder, each in a process of its own."""

    def __init__(
        self, root: pathlib.Path, folder: pathlib.Path, *, fresh: bool
    ) -> None:
        """Starts the process that the others are forked from."""
        self._log, self._errors = folder / "log.txt", folder / "errors.txt"
        environment = {
            "PYTHONPATH": str(root),
            "CUDA_VISIBLE_DEVICES": "",
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "1",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _FORKING, *["--fresh"] * fresh],
                cwd=folder,
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def run(self, command: Command) -> None:
        """Runs one command to its end.

        Raises:
          CommandFailed: it ended otherwise than it should.
        """
        assert self._process.stdin and self._process.stdout
        self._log.write_text("")
        request = json.dumps([command.arguments, str(self._log)])
        print(request, file=self._process.stdin, flush=True)
        status = self._process.stdout.readline().strip()
        if not status:
            raise SystemExit(
                f"the process that forks commands is gone:\n{self._errors.read_text()}"
            )
        if int(status) != command.status:
            said = self._log.read_text().splitlines()[-_SHOWN:]
            raise CommandFailed(
                f"status {status}, not {command.status}, of atelier"
                f" {' '.join(command.arguments)}",
                *said,
            )

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def records(
    given: argparse.Namespace, names: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any], float]]:
    """Runs the cases: of each its name, what came out, and the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="golden_master_") as place:
        folder = pathlib.Path(place).resolve()
        make_data(folder / "data")
        runner = Runner(given.root.resolve(), folder, fresh=given.fresh)
        try:
            for name in names:
                start = time.monotonic()
                record = _outcome(runner, name, folder, 1 if given.perturb else None)
                yield name, record, time.monotonic() - start
        finally:
            runner.close()


def _outcome(
    runner: Runner, name: str, folder: pathlib.Path, seed: int | None
) -> dict[str, Any]:
    """A case's record, or `failed` with the reason."""
    try:
        for command in commands_of(name, CASES[name], seed):
            runner.run(command)
        # As it is read from a file, so that both sides are alike.
        record: dict[str, Any] = json.loads(json.dumps(record_of(name, folder)))
    except CommandFailed as failure:
        return {"failed": list(failure.args)}
    except (OSError, KeyError, ValueError) as error:
        return {"failed": [f"what came out cannot be read: {error!r}"]}
    return record


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested dicts and lists, each with its path."""
    if isinstance(content, dict) and content:
        for name, value in content.items():
            yield from leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(content, list) and content:
        for i, value in enumerate(content):
            yield from leaves(value, f"{path}[{i}]")
    else:
        yield path, content


def differences(expected: Any, received: Any) -> tuple[list[str], list[str]]:
    """A line for each value that is not the same, and the paths of further values."""
    before, after = dict(leaves(expected)), dict(leaves(received))
    changed = [
        f"{path}: {_short(was)} -> {_short(after.get(path, '(absent)'))}"
        for path, was in before.items()
        if path not in after or after[path] != was
    ]
    return changed, sorted(after.keys() - before.keys())


def _place(path: str) -> str:
    """The first two names of a path."""
    return ".".join(path.split(".")[:2])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:28]}…{text[-28:]}"


def _write(given: argparse.Namespace, names: Sequence[str]) -> int:
    """Keeps what came out, if all cases did; returns the exit status."""
    written = {}
    failed = 0
    for name, record, seconds in records(given, names):
        written[name] = record
        if "failed" in record:
            failed += 1
            print(f"{name}: FAILED", *record["failed"], sep="\n  ", flush=True)
        else:
            digest = record["weights_sha256"][:12]
            print(f"{name}: {digest} ({seconds:.1f} s)", flush=True)
    if not failed:
        given.file.write_text(json.dumps(written, indent=1) + "\n")
    print(f"{len(names)} cases, {failed} failed{'; nothing written' * bool(failed)}")
    return int(bool(failed))


def _compare(given: argparse.Namespace, names: Sequence[str]) -> int:
    """Prints what differs from the file; returns the exit status."""
    expected = json.loads(given.file.read_text())
    known = [name for name in names if name in expected]
    different = 0
    for name, record, seconds in records(given, known):
        found, further = differences(expected[name], record)
        different += bool(found)
        print(f"{name}: {'DIFFERENT' if found else 'equal'} ({seconds:.1f} s)")
        if further:
            more = ", ".join(dict.fromkeys(_place(path) for path in further))
            print(f"  further values: {more}")
        for line in found[:_SHOWN]:
            print(f"  {line}")
        if len(found) > _SHOWN:
            keys = sorted({re.split(r"[.:\[]", line)[0] for line in found})
            print(f"  … {len(found)} differences in all, in {', '.join(keys)}")
        sys.stdout.flush()
    missing = [name for name in names if name not in expected]
    for name in missing:
        print(f"{name}: MISSING in {given.file}")
    print(f"{len(names)} cases, {different} different, {len(missing)} missing")
    return int(bool(different or missing))


def main() -> int:
    """Reads the arguments; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("write", "compare"))
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=_HERE)
    parser.add_argument("--cases", default=",".join(CASES), help="Names, by commas.")
    parser.add_argument("--perturb", action="store_true", help="Another seed.")
    parser.add_argument("--fresh", action="store_true", help="Nothing is shared.")
    given = parser.parse_args()
    names = given.cases.split(",")
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"unknown cases {unknown}; known are {', '.join(CASES)}")
    if given.perturb and given.action == "write":
        parser.error("--perturb is for compare")
    return (_write if given.action == "write" else _compare)(given, names)


if __name__ == "__main__":
    sys.exit(main())
