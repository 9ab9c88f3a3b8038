"""`export.json`: what an export is, and the SHA-256 of every file of it."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from app.serving.inputs.columns import ServedColumn
from app.serving.signatures import Contract
from base import files
from base.errors import UserError
from models.spec import Outputs
from models.tasks.base import Task
from models.tasks.registry import task_of
from pipelines.features import ExampleSpec

FILE_NAME = "export.json"


def signatures(contract: Contract) -> dict[str, Any]:
    """Names, types and shapes of what the SavedModel takes and answers."""
    answers = {
        name: _tensor(spec.dtype, None, *spec.shape)
        for name, spec in contract.answer_specs.items()
    }
    return {
        signature: {
            "inputs": {
                name: _tensor(spec.dtype.name, *spec.shape.as_list())
                for name, spec in specs.items()
            },
            "outputs": answers,
        }
        for signature, specs in contract.input.signatures.items()
    }


def task(contract: Contract) -> dict[str, Any]:
    """What the model learnt, by which `contract_of` finds the task again."""
    outputs = dataclasses.asdict(contract.task.outputs)
    return {"name": outputs.pop("task"), **outputs, "names": contract.names}


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
    """The contract that an export was made by.

    Raises:
      UserError: another version of Atelier made it, or its task is not known here.
    """
    try:
        features = ExampleSpec.from_json(content["features"])
        return Contract(
            features=features,
            task=_task_in(content, features),
            max_pixels=content["max_pixels"],
            temperature=content["temperature"],
            columns=tuple(ServedColumn(**column) for column in content["columns"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"the {FILE_NAME} of {content.get('name')} is of another version of Atelier"
            f" ({type(error).__name__}: {error}); export the run again"
        ) from error


def _task_in(content: Mapping[str, Any], features: ExampleSpec) -> Task:
    """The task that an export says, or that its features say in older ones.

    An older export has no mean and no standard deviation of its targets, on
    which answers do not depend.
    """
    found = content.get("task")
    if found is None:
        target = features.target
        return task_of(Outputs(target.task, target.width))
    outputs: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in found.items()
        if key != "name"
    }
    return task_of(Outputs(found["name"], **outputs))


def _tensor(dtype: str, *shape: int | None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape)}
