"""`MODEL_CARD.md`: what export.json says, for people."""

from collections.abc import Iterator
from typing import Any

from app.serving.signatures import Contract

FILE_NAME = "MODEL_CARD.md"
_MANY = 20


def text(content: dict[str, Any], contract: Contract) -> str:
    """The model card in Markdown.

    Args:
      content: of export.json.
      contract: of the export.
    """
    lines = (
        *_head(content, contract),
        *_inputs(content, contract),
        *_data(content),
        *_results(content, contract),
        *_numbers(content),
        *_limits(contract),
    )
    return "\n".join(lines) + "\n"


def _head(content: dict[str, Any], contract: Contract) -> Iterator[str]:
    flags = content["flags"]
    yield f"# {content['name']}"
    yield ""
    yield (
        f"A `{flags['model']}` for {contract.task.name}, trained with Atelier on"
        f" `{content['dataset']['source']}` and exported {content['created']}."
    )
    commit = content["code"]["commit"]
    if commit:
        changed = ", with changes of its own" if content["code"]["dirty"] else ""
        yield f"Code: commit `{commit}`{changed}."
    yield (
        f"Weights: step {content['checkpoint']['step']:,} (the"
        f" {content['checkpoint']['name']} checkpoint),"
        f" {content['parameters']['total']:,} parameters, precision"
        f" {flags['precision']}."
    )


def _inputs(content: dict[str, Any], contract: Contract) -> Iterator[str]:
    yield from ("", "## What it takes and answers", "")
    for name, signature in sorted(content["signatures"].items()):
        given, answered = (
            _listed([f"`{key}` {_type(value)}" for key, value in part.items()])
            for part in (signature["inputs"], signature["outputs"])
        )
        yield f"- `{name}`: {given} → {answered}"
    if "litert" in content["formats"]:
        yield f"- `model.tflite`: {contract.input.litert}"
    if content["columns"]:
        yield from _columns(content)
    names = list(contract.names)
    if names:
        yield ""
        yield f"{len(names)} {contract.task.outputs_are}: {_listed(names)}."


def _columns(content: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield (
        "A missing value is NaN or the empty text, in `tf_example` a feature that is"
        " left out; a bool cannot be missing but there. A text that training has not"
        " seen counts as no known one. Dates are seconds since 1970."
    )
    yield from ("", "| column | input | type | tf.train.Example |", "|---|---|---|---|")
    for column in content["columns"]:
        name = column["name"].replace("|", "\\|")
        given = f"`{column['input']}` | {column['dtype']} | {column['feature']}"
        yield f"| {name} | {given} |"


def _data(content: dict[str, Any]) -> Iterator[str]:
    yield from ("", "## Data", "", "| split | examples | sha256 |", "|---|---|---|")
    for name, split in content["dataset"]["splits"].items():
        yield f"| {name} | {split['examples']:,} | `{split['sha256'][:16]}…` |"


def _results(content: dict[str, Any], contract: Contract) -> Iterator[str]:
    yield from ("", "## Results", "")
    for name in ("validation", "test"):
        metrics = content[name]
        if not metrics:
            yield f"- {name}: not evaluated"
            continue
        figures = ", ".join(
            f"{key} {value:.4f}"
            for key, value in metrics.items()
            if isinstance(value, float) and key != "epoch"
        )
        for metric in contract.task.metrics:
            if interval := metrics.get(f"{metric.name}_95"):
                low, high = interval
                figures += f" ({metric.name} 95 %: {low:.4f} to {high:.4f})"
        yield f"- {name}: {figures}"
    calibration = content["calibration"]
    if calibration and calibration["unfitted"]:
        yield f"- calibration: no temperature was fitted: {calibration['unfitted']}"
    elif calibration:
        yield (
            f"- calibration: temperature {calibration['temperature']:.3f}, fitted on"
            f" the validation split; calibration error there"
            f" {calibration['error_before']:.4f} before,"
            f" {calibration['error_after']:.4f} after"
        )
    quantization = content["quantization"]
    if quantization:
        yield (
            f"- LiteRT in {quantization['kind']}: validation {quantization['metric']}"
            f" {quantization['before']:.4f} before, {quantization['after']:.4f} after"
        )


def _numbers(content: dict[str, Any]) -> Iterator[str]:
    yield from ("", "## The same answers elsewhere", "")
    yield from ("| runtime | largest difference | allowed |", "|---|---|---|")
    for runtime, parity in content["parity"].items():
        difference = f"{parity['largest_difference']:.2g}"
        yield f"| {runtime} | {difference} | {parity['tolerance']:g} |"
    yield from ("", "| latency, ms | p50 | p99 |", "|---|---|---|")
    for runtime, batches in content["latency"].items():
        for batch, figures in batches.items():
            name = f"{runtime}, {batch.replace('_', ' ')}"
            yield f"| {name} | {figures['p50_ms']:.3g} | {figures['p99_ms']:.3g} |"
    yield ""
    yield f"Size: {content['bytes']:,} bytes. Measured on {content['cpu']}."


def _limits(contract: Contract) -> Iterator[str]:
    yield from ("", "## Know before you use it", "")
    for warning in contract.input.limits():
        yield f"- {warning}"
    yield (
        f"- `golden/` holds {contract.input.golden_are} of the validation split: look"
        " before you share."
    )
    yield (
        "- A SavedModel is a program: load only those of people you trust. The hashes"
        " in export.json tell damage, not intent."
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more


def _type(tensor: dict[str, Any]) -> str:
    """For example `uint8 [None, 32, 32, 3]`."""
    return f"{tensor['dtype']} [{', '.join(map(str, tensor['shape']))}]"
