"""`MODEL_CARD.md`: what export.json says, for people."""

from collections.abc import Iterator
from typing import Any

from pipelines.features import ExampleSpec

FILE_NAME = "MODEL_CARD.md"
_MANY = 20
_LITERT = {
    "image": (
        "`pixels` only, as LiteRT has no operations that decode images: who calls it"
        " decodes and resizes."
    ),
    "vector": "the same.",
    "table": "`rows` only: numbers and texts in the order of the columns below.",
}


def text(content: dict[str, Any]) -> str:
    """The model card in Markdown.

    Args:
      content: of export.json.
    """
    sections = (_head, _inputs, _data, _results, _numbers, _limits)
    return "\n".join(line for section in sections for line in section(content)) + "\n"


def _head(content: dict[str, Any]) -> Iterator[str]:
    features = ExampleSpec.from_json(content["features"])
    flags = content["flags"]
    yield f"# {content['name']}"
    yield ""
    yield (
        f"A `{flags['model']}` for {features.task}, trained with Atelier on"
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


def _inputs(content: dict[str, Any]) -> Iterator[str]:
    yield from ("", "## What it takes and answers", "")
    for name, signature in sorted(content["signatures"].items()):
        given, answered = (
            _listed([f"`{key}` {_type(value)}" for key, value in part.items()])
            for part in (signature["inputs"], signature["outputs"])
        )
        yield f"- `{name}`: {given} → {answered}"
    features = ExampleSpec.from_json(content["features"])
    if "litert" in content["formats"]:
        yield f"- `model.tflite`: {_LITERT[features.kind]}"
    if content["columns"]:
        yield from _columns(content)
    classes = features.classes
    if classes:
        yield ""
        yield f"{len(classes)} classes: {_listed(list(classes))}."


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


def _results(content: dict[str, Any]) -> Iterator[str]:
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
        interval = metrics.get("accuracy_95")
        if interval:
            figures += f" (accuracy 95 %: {interval[0]:.4f} to {interval[1]:.4f})"
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


def _limits(content: dict[str, Any]) -> Iterator[str]:
    yield from ("", "## Know before you use it", "")
    if ExampleSpec.from_json(content["features"]).kind == "image":
        yield (
            f"- An image of more than {content['max_pixels']:,} pixels is refused"
            " before it is decoded. EXIF orientation is not applied; of an animation"
            " the first frame counts."
        )
        yield "- `golden/` holds images of the validation split: look before you share."
    else:
        yield "- `golden/` holds rows of the validation split: look before you share."
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
