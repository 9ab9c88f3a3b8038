"""Answers golden inputs with what was exported, knowing its runtime and NumPy alone.

Run as a script by `runtimes`, in isolation: `python -I golden_runner.py JOBS`. JOBS is
a JSON list of {"runtime", "export", "signatures", "encoded", "output", "seconds"}:
`runtime` is saved_model (TensorFlow) or litert (ai-edge-litert); `encoded` is the
signature and the input that take the golden files as they are, or null.
"""

import importlib.abc
import json
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_STRANGERS = ("app", "atelier", "base", "models", "pipelines", "tuning")
Call = Callable[..., dict[str, Any]]
# Inputs of a signature by name, [rows, …] each.
Batch = dict[str, Any]


class Refusal(importlib.abc.MetaPathFinder):
    """Finds none of Atelier's rooms, even where they are installed."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        """Refuses the import of a room."""
        if fullname.partition(".")[0] in _STRANGERS:
            raise ImportError(f"{fullname} is out of reach here")


def main(jobs: pathlib.Path) -> None:
    """Runs every job."""
    sys.meta_path.insert(0, Refusal())
    for job in json.loads(jobs.read_text()):
        run(job)


def run(job: dict[str, Any]) -> None:
    """Writes the answers of all signatures, named SIGNATURE/ANSWER, and latencies."""
    export = pathlib.Path(job["export"])
    load = {"saved_model": load_saved_model, "litert": load_litert}[job["runtime"]]
    call_of, as_given = load(export)
    inputs = golden_inputs(export, job["encoded"])
    results: dict[str, np.ndarray] = {}
    for signature in job["signatures"]:
        call = call_of(signature)
        given = inputs[signature]
        for answer, value in call(**as_given(given)).items():
            results[f"{signature}/{answer}"] = _plain(np.asarray(value))
        for rows in (1, 32) if job["seconds"] else ():
            first = {name: values[:1] for name, values in given.items()}
            batch = {name: np.repeat(row, rows, axis=0) for name, row in first.items()}
            taken = latencies(call, as_given(batch), job["seconds"])
            results[f"latency/{signature}/{rows}"] = taken
    np.savez(job["output"], allow_pickle=False, **results)


def load_saved_model(
    export: pathlib.Path,
) -> tuple[Callable[[str], Call], Callable[[Batch], Batch]]:
    """What gives a SavedModel's signature by name, and what makes its inputs."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(export))

    def call_of(signature: str) -> Call:
        # The signatures hold the variables by weak references: `loaded` is kept.
        call: Call = loaded.signatures[signature]
        return call

    return call_of, lambda batch: {k: tf.constant(v) for k, v in batch.items()}


def load_litert(
    export: pathlib.Path,
) -> tuple[Callable[[str], Call], Callable[[Batch], Batch]]:
    """The same of a LiteRT model."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(export / "model.tflite"))
    return interpreter.get_signature_runner, lambda batch: batch


def golden_inputs(
    export: pathlib.Path, encoded: Sequence[str] | None
) -> dict[str, Batch]:
    """The golden inputs by signature and name."""
    folder = export / "golden"
    inputs: dict[str, Batch] = {}
    with np.load(folder / "golden.npz", allow_pickle=False) as arrays:
        for key in arrays.files:
            if key.startswith("inputs/"):
                _, signature, name = key.split("/", 2)
                inputs.setdefault(signature, {})[name] = arrays[key]
        names = arrays["names"].tolist()
    if encoded:
        contents = [(folder / name).read_bytes() for name in names]
        inputs[encoded[0]] = {encoded[1]: np.array(contents, object)}
    return inputs


def latencies(call: Call, batch: Batch, seconds: float) -> np.ndarray:
    """Milliseconds that calls took, float64 [calls], for about `seconds`."""
    call(**batch)
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 10 or time.perf_counter() < end:
        start = time.perf_counter()
        call(**batch)
        taken.append(1000 * (time.perf_counter() - start))
    return np.array(taken)


def _plain(values: np.ndarray) -> np.ndarray:
    """Text as fixed-width UTF-8, which needs no pickle."""
    if values.dtype != object:
        return values
    flat: Sequence[bytes] = values.ravel().tolist()
    return np.array([text.decode() for text in flat], np.str_).reshape(values.shape)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
