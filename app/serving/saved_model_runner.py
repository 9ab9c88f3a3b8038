"""Answers golden inputs with SavedModels, knowing TensorFlow and NumPy alone.

Run as a script by `runtimes`, in isolation: `python -I saved_model_runner.py JOBS`.
JOBS is a JSON list of {"export", "examples_input", "raw_signature", "output",
"seconds"}.
"""

import importlib.abc
import json
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_STRANGERS = ("app", "models", "pipelines", "tuning")


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
    import tensorflow as tf

    export = pathlib.Path(job["export"])
    loaded = tf.saved_model.load(str(export))
    signatures = loaded.signatures
    with np.load(export / "golden" / "golden.npz", allow_pickle=False) as golden:
        examples, names = golden["examples"], golden["names"].tolist()
    raw = job["raw_signature"]
    given = {raw: {job["examples_input"]: tf.constant(examples)}}
    if "serving_default" not in given:
        contents = [(export / "golden" / name).read_bytes() for name in names]
        given["serving_default"] = {"image_bytes": tf.constant(contents)}
    results: dict[str, np.ndarray] = {}
    for name, inputs in given.items():
        for answer, value in signatures[name](**inputs).items():
            results[f"{name}/{answer}"] = _plain(value.numpy())
        for rows in (1, 32) if job["seconds"] else ():
            batch = {key: repeated(value, rows) for key, value in inputs.items()}
            taken = latencies(signatures[name], batch, job["seconds"])
            results[f"latency/{name}/{rows}"] = taken
    np.savez(job["output"], allow_pickle=False, **results)


def repeated(values: Any, rows: int) -> Any:
    """A batch of `rows` of the first example."""
    import tensorflow as tf

    return tf.repeat(values[:1], rows, axis=0)


def latencies(
    call: Callable[..., object], batch: dict[str, Any], seconds: float
) -> np.ndarray:
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
