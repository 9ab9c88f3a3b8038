"""Runs an export where it will be run: in processes that know nothing of Atelier."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from app.serving import golden_runner
from app.serving.golden import Golden, training_answers
from app.serving.signatures import Contract
from base.errors import ExportRefused, UserError

SAVED_MODEL, LITERT = "saved_model", "litert"
_SECONDS = 1800
_OWN_LAYERS = (
    "layers of your own need @keras.saving.register_keras_serializable and get_config"
)


@dataclasses.dataclass(frozen=True)
class Answered:
    """What one runtime answered golden inputs.

    Attributes:
      answers: by signature, then by name, in the order of the inputs.
      latency: by signature, then by batch size: p50_ms and p99_ms.
    """

    answers: dict[str, dict[str, np.ndarray]]
    latency: dict[str, dict[str, dict[str, float]]]


def in_fresh_interpreter(
    runtime: str,
    exports: Sequence[tuple[pathlib.Path, Contract]],
    work: pathlib.Path,
    seconds: float = 0.0,
) -> list[Answered]:
    """Answers of exports, each in the order of its golden inputs.

    The interpreter is isolated (`python -I`): neither the working directory nor
    PYTHONPATH is on its path, and Atelier's rooms are refused to it.

    Args:
      runtime: `saved_model` or `litert`.
      exports: version folders with golden inputs in them, and their contracts.
      work: a folder for what the processes exchange.
      seconds: how long to measure each latency; 0 for not at all.

    Raises:
      ExportRefused: the runtime failed; with its own last line.
    """
    outputs = [work / f"{runtime}-{i}.npz" for i in range(len(exports))]
    jobs = [
        _job(runtime, export, contract, output, seconds)
        for (export, contract), output in zip(exports, outputs, strict=True)
    ]
    asked = work / f"{runtime}.json"
    asked.write_text(json.dumps(jobs))
    _run(runtime, asked, work)
    return [_read(output) for output in outputs]


def _job(
    runtime: str,
    export: pathlib.Path,
    contract: Contract,
    output: pathlib.Path,
    seconds: float,
) -> dict[str, Any]:
    every, raw = runtime == SAVED_MODEL, contract.input.raw_signature
    return {
        "runtime": runtime,
        "export": str(export.absolute()),
        "signatures": list(contract.input.signatures) if every else [raw],
        "encoded": contract.input.encoded if every else None,
        "output": str(output.absolute()),
        "seconds": seconds,
    }


def save_keras(model: keras.Model, path: pathlib.Path) -> None:
    """Writes the model as a `.keras` file.

    Raises:
      UserError: a layer of the user's own does not say how it is made.
    """
    try:
        model.save(path)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            f"the model cannot be saved ({_last_line(str(error))}); {_OWN_LAYERS}"
        ) from error


def reloaded_keras(path: pathlib.Path, golden: Golden, contract: Contract) -> Answered:
    """Answers of a `.keras` file: loaded in safe mode, so that no code in it runs.

    Raises:
      ExportRefused: the file cannot be loaded.
    """
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except (NotImplementedError, TypeError, ValueError, OSError) as error:
        raise ExportRefused(
            f"{path.name} cannot be loaded again ({_last_line(str(error))});"
            f" {_OWN_LAYERS}"
        ) from error
    raw = contract.input.raw_signature
    answers = training_answers(model, golden.inputs[raw], contract)
    return Answered({raw: answers}, latency={})


def _run(runtime: str, jobs: pathlib.Path, work: pathlib.Path) -> None:
    script = str(golden_runner.__file__)
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    } | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    try:
        ran = subprocess.run(
            [sys.executable, "-I", script, str(jobs.absolute())],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportRefused(
            f"{runtime} in a fresh interpreter gave no answer in {_SECONDS} s"
        ) from error
    if ran.returncode:
        raise ExportRefused(
            f"{runtime} in a fresh interpreter failed with status {ran.returncode}:"
            f" {_last_line(ran.stderr)}"
        )


def _read(path: pathlib.Path) -> Answered:
    answers: dict[str, dict[str, np.ndarray]] = {}
    latency: dict[str, dict[str, dict[str, float]]] = {}
    with np.load(path, allow_pickle=False) as results:
        for key in results.files:
            signature, name = key.removeprefix("latency/").split("/")
            if not key.startswith("latency/"):
                answers.setdefault(signature, {})[name] = results[key]
                continue
            p50, p99 = np.percentile(results[key], (50, 99)).tolist()
            latency.setdefault(signature, {})[f"batch_{name}"] = {
                "p50_ms": round(p50, 4),
                "p99_ms": round(p99, 4),
            }
    return Answered(answers, latency)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"
