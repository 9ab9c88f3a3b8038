"""Publishes a run: what `atelier export` does."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from app.configs.commands import ExportConfig
from app.configs.serving import ExportOptions
from app.runs.numerics import contained
from app.serving import (
    calibration,
    golden,
    litert,
    manifest,
    model_card,
    parity,
    publishing,
    quantization,
    runtimes,
    signatures,
    warmup,
)
from app.serving.exported_run import ExportedRun, identity, open_run
from app.serving.signatures import Contract
from app.training import evaluation
from base import files
from base.errors import ExportRefused, UserError

KERAS = "model.keras"
LABELS = "labels.txt"
_LATENCY_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Published:
    """A version that was published.

    Attributes:
      path: its folder.
      content: of its export.json.
    """

    path: pathlib.Path
    content: dict[str, Any]


@contained()
def export(config: ExportConfig) -> Published:
    """Publishes the next version of a run, once every runtime answers alike.

    Raises:
      UserError: no such run, or one that cannot be exported as asked.
      ExportRefused: a runtime differs, too much accuracy is lost, or the disk is full.
    """
    if "litert" in config.export.formats:
        litert.require_installed()
    run = open_run(config)
    run.folder.require_writable()
    run_dir = run.folder.path
    try:
        with publishing.staging(run_dir) as place:
            version = place / "version"
            content = build(run, config, version, place)
            final = publishing.publish(version, run_dir / "export")
    except OSError as error:
        raise ExportRefused(
            f"nothing is published: {error.strerror or error} in {run_dir}; make room,"
            " or a folder that can be written, and export again"
        ) from error
    return Published(final, content)


def build(
    run: ExportedRun, config: ExportConfig, version: pathlib.Path, work: pathlib.Path
) -> dict[str, Any]:
    """Makes a version folder and holds it against the gate.

    Args:
      run: what is exported.
      config: how.
      version: a folder that is not there yet.
      work: a folder for what is needed on the way.

    Returns:
      The content of its export.json.

    Raises:
      UserError: the model cannot be exported as asked.
      ExportRefused: a runtime differs, or too much accuracy is lost.
    """
    options = config.export
    found = _validation(run, options)
    contract, calibrated = _contract(run, options, found)
    examples = write_models(run, options, contract, version, work)
    quantized = quantization.measure(run, options, contract, version, found)
    answered = _run_all(options, contract, examples, version, work)
    details = {
        **identity(run, config, contract),
        "calibration": calibrated and dataclasses.asdict(calibrated),
        "quantization": quantized,
        "warm_up": (version / warmup.WARM_UP).exists(),
        "parity": gate(run, options, examples, answered),
        "latency": {
            f"{runtime} {signature}": batches
            for runtime, found_by in answered.items()
            for signature, batches in found_by.latency.items()
        },
    }
    return _finish(version, details, contract)


def write_models(
    run: ExportedRun,
    options: ExportOptions,
    contract: Contract,
    version: pathlib.Path,
    work: pathlib.Path,
) -> golden.Golden:
    """Writes the model in every format, with golden inputs, which it returns.

    Raises:
      UserError: the model cannot be saved or converted.
    """
    model = run.network.model
    version.mkdir()
    examples = golden.make(run.dataset, model, contract)
    golden.write(examples, version / golden.FOLDER)
    labels = _write_labels(options, contract, version, work)
    runtimes.save_keras(model, version / KERAS)
    if "saved_model" in options.formats:
        signatures.Server(model, contract).save(version, labels)
        warmup.write_warm_up(version, run.name, examples, contract)
        warmup.write_request(version, examples, contract)
    if "litert" in options.formats:
        twin = litert.in_float32(model, run.config, run.description)
        content = litert.convert(
            twin,
            contract,
            options.quantize,
            lambda: litert.training_samples(run.dataset, contract),
        )
        (version / litert.FILE_NAME).write_bytes(content)
    return examples


def _write_labels(
    options: ExportOptions,
    contract: Contract,
    version: pathlib.Path,
    work: pathlib.Path,
) -> pathlib.Path | None:
    """The file of the outputs' names: an asset of the SavedModel if there is one."""
    if not contract.names:
        return None
    folder = work if "saved_model" in options.formats else version
    signatures.write_labels(folder / LABELS, contract.names)
    return folder / LABELS


def _validation(
    run: ExportedRun, options: ExportOptions
) -> evaluation.Predictions | None:
    """What the model says of the validation split, where that is needed."""
    if not options.calibrate and options.quantize == "none":
        return None
    batch_size = run.config.data.batch_size
    batches = run.dataset.evaluation("validation", batch_size)
    return evaluation.predict(run.network.model, batches)


def _contract(
    run: ExportedRun, options: ExportOptions, found: evaluation.Predictions | None
) -> tuple[Contract, calibration.Calibration | None]:
    max_pixels = options.max_pixels or run.config.data.max_pixels
    contract = run.contract(max_pixels)
    if not options.calibrate:
        return contract, None
    if not contract.task.calibrates:
        raise UserError(
            f"--calibrate for {contract.task.name}: expected a task whose probabilities"
            " are a softmax over classes; leave it out"
        )
    assert found is not None  # --calibrate asks for it
    calibrated = calibration.fit(found.outputs, found.labels)
    contract = dataclasses.replace(contract, temperature=calibrated.temperature)
    return contract, calibrated


def _run_all(
    options: ExportOptions,
    contract: Contract,
    examples: golden.Golden,
    version: pathlib.Path,
    work: pathlib.Path,
) -> dict[str, runtimes.Answered]:
    """What every runtime answers, by its name."""
    found = {"keras": runtimes.reloaded_keras(version / KERAS, examples, contract)}
    for runtime in options.formats:
        (found[runtime],) = runtimes.in_fresh_interpreter(
            runtime, [(version, contract)], work, _LATENCY_SECONDS
        )
    return found


def gate(
    run: ExportedRun,
    options: ExportOptions,
    examples: golden.Golden,
    answered: Mapping[str, runtimes.Answered],
) -> dict[str, Any]:
    """The largest difference of every runtime and signature, for export.json.

    Raises:
      ExportRefused: one is beyond its tolerance.
    """
    precisions = dict.fromkeys(answered, run.config.training.precision)
    if options.quantize != "none":
        both = (run.config.training.precision, options.quantize)
        precisions[runtimes.LITERT] = max(both, key=parity.TOLERANCES.__getitem__)
    found = [
        parity.measure(
            f"{runtime} {signature}",
            precisions[runtime],
            examples,
            answers,
            run.network.task,
            run.dataset.features.target.part_names,
        )
        for runtime, found_by in answered.items()
        for signature, answers in found_by.answers.items()
    ]
    parity.require(found)
    return {one.runtime: one.to_json() for one in found}


def _finish(
    version: pathlib.Path, content: dict[str, Any], contract: Contract
) -> dict[str, Any]:
    """Writes the card, then export.json, which names all other files."""
    sizes = [path.stat().st_size for path in version.rglob("*") if path.is_file()]
    content["bytes"] = int(np.sum(sizes))
    card = model_card.text(content, contract)
    files.write_text(version / model_card.FILE_NAME, card)
    content["files"] = manifest.files_of(version)
    manifest.write(version, content)
    return content


def report(published: Published) -> str:
    """What the command prints of it."""
    final, content = published.path, published.content
    lines = [f"{final}: {', '.join(content['formats'])}, {content['bytes']:,} bytes"]
    for runtime, found in content["parity"].items():
        lines.append(
            f"  {runtime}: largest difference {found['largest_difference']:.2g}"
            f" (allowed {found['tolerance']:g})"
        )
    for runtime, batches in content["latency"].items():
        one, many = (batches[name]["p50_ms"] for name in ("batch_1", "batch_32"))
        lines.append(f"  {runtime}: {one:.3g} ms a row, {many:.3g} ms for 32 rows")
    calibrated, quantized = content["calibration"], content["quantization"]
    if calibrated and calibrated["unfitted"]:
        lines.append(f"  temperature 1, not fitted: {calibrated['unfitted']}")
    elif calibrated:
        lines.append(
            f"  temperature {calibrated['temperature']:.3f}: calibration error"
            f" {calibrated['error_before']:.4f} before,"
            f" {calibrated['error_after']:.4f} after"
        )
    if quantized:
        lines.append(
            f"  {quantized['kind']}: validation {quantized['metric']}"
            f" {quantized['before']:.4f} before, {quantized['after']:.4f} after"
        )
    if "saved_model" in content["formats"] and not content["warm_up"]:
        lines.append("  no warm-up requests: they need pip install 'atelier[serving]'")
    return "\n".join(lines)
