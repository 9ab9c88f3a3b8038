"""`export.json`: what an export is, and the SHA-256 of every file of it."""

import json
import pathlib
from typing import Any

from app.serving.columns import ServedColumn
from app.serving.signatures import Contract
from base import files
from base.errors import UserError
from pipelines.features import Features

FILE_NAME = "export.json"


def signatures(contract: Contract) -> dict[str, Any]:
    """Names, types and shapes of what the SavedModel takes and answers."""
    return {
        signature: {
            "inputs": {
                name: _tensor(spec.dtype.name, *spec.shape.as_list())
                for name, spec in specs.items()
            },
            "outputs": _answers(contract.features),
        }
        for signature, specs in contract.signatures.items()
    }


def files_of(version: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 of each file but export.json, by its relative path."""
    return {
        path.relative_to(version).as_posix(): files.size_and_sha256(path)
        for path in sorted(version.rglob("*"))
        if path.is_file() and path.relative_to(version).as_posix() != FILE_NAME
    }


def write(version: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes export.json; it is the last file of an export."""
    files.write_json(version / FILE_NAME, content)


def read_verified(version: pathlib.Path) -> dict[str, Any]:
    """export.json, once all files are those that it names.

    Files that it does not name count, too: TensorFlow may load one instead.

    Raises:
      UserError: this is no export; a file is missing, changed or new.
    """
    path = version / FILE_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        expected = content["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"--export_dir={version}: expected a folder that `atelier export` made, but"
            f" its {FILE_NAME} cannot be read; name RUN_DIR/export/N"
        ) from error
    found = files_of(version)
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            what = (
                "is missing"
                if name not in found
                else "is not the export's"
                if name not in expected
                else "has changed since it was exported"
            )
            raise UserError(
                f"--export_dir={version}: {name} {what}; nothing was loaded: export"
                " again, or fetch the export again from where it was made"
            )
    return content


def contract_of(content: dict[str, Any]) -> Contract:
    """The contract that an export was made by."""
    return Contract(
        features=Features.from_json(content["features"]),
        max_pixels=content["max_pixels"],
        temperature=content["temperature"],
        columns=tuple(ServedColumn(**column) for column in content["columns"]),
    )


def _answers(features: Features) -> dict[str, Any]:
    if features.task == "regression":
        targets = () if features.targets == 1 else (features.targets,)
        return {"value": _tensor("float32", None, *targets)}
    return {
        "probabilities": _tensor("float32", None, len(features.classes)),
        "class_id": _tensor("int64", None),
        "label": _tensor("string", None),
    }


def _tensor(dtype: str, *shape: int | None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape)}
