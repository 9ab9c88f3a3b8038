"""Answers golden inputs with a LiteRT model, knowing ai-edge-litert and NumPy alone.

Run as a script by `runtimes`, in isolation: `python -I litert_runner.py JOBS`. JOBS is
a JSON list of {"export", "examples_input", "raw_signature", "output", "seconds"}.
"""

import json
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def main(jobs: pathlib.Path) -> None:
    """Runs every job."""
    for job in json.loads(jobs.read_text()):
        run(job)


def run(job: dict[str, Any]) -> None:
    """Writes the raw signature's answers, named SIGNATURE/ANSWER, and latencies."""
    from ai_edge_litert.interpreter import Interpreter

    export = pathlib.Path(job["export"])
    interpreter = Interpreter(str(export / "model.tflite"))
    signature = job["raw_signature"]
    call = interpreter.get_signature_runner(signature)
    with np.load(export / "golden" / "golden.npz", allow_pickle=False) as golden:
        examples = golden["examples"]
    answers = call(**{job["examples_input"]: examples})
    results = {f"{signature}/{name}": value for name, value in answers.items()}
    for rows in (1, 32) if job["seconds"] else ():
        batch = {job["examples_input"]: np.repeat(examples[:1], rows, axis=0)}
        results[f"latency/{signature}/{rows}"] = latencies(call, batch, job["seconds"])
    np.savez(job["output"], allow_pickle=False, **results)


def latencies(
    call: Callable[..., object], batch: dict[str, np.ndarray], seconds: float
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


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
