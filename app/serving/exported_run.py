"""What is exported: a run's model, with the data that it was trained on."""

import dataclasses
import datetime
import pathlib
import re
from typing import Any

import tensorflow as tf

from app.configs import flags
from app.configs.commands import ExportConfig, TrainConfig
from app.reporting import environment
from app.runs.answers import load_answering
from app.runs.data import open_data, read_description, require_same_data
from app.runs.folder import RunFolder
from app.runs.network import Network
from app.serving import manifest
from app.serving.inputs import registry
from app.serving.signatures import Contract
from app.training import state
from models.description import parameter_counts
from pipelines.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class ExportedRun:
    """A run that is exported.

    Attributes:
      config: its flags.
      folder: its own.
      network: with the weights of the checkpoint.
      step: of the checkpoint.
      dataset: that it was trained on, unchanged.
      description: of its dataset.json.
    """

    config: TrainConfig
    folder: RunFolder
    network: Network
    step: int
    dataset: Dataset
    description: dict[str, Any]

    @property
    def name(self) -> str:
        """The run's, in letters that a model server takes."""
        return re.sub(r"[^A-Za-z0-9_.-]", "_", self.folder.path.absolute().name)

    def contract(self, max_pixels: int) -> Contract:
        """What an export takes and answers, uncalibrated.

        Raises:
          UserError: nothing serves examples of this kind.
        """
        columns = registry.columns_of(self.dataset)
        return Contract(
            self.dataset.features, self.network.task, max_pixels, columns=columns
        )


def open_run(config: ExportConfig) -> ExportedRun:
    """Loads the run and the data it was trained on.

    Raises:
      UserError: one of them is missing, or has changed.
    """
    assert config.run.run_dir is not None  # RunConfig refuses a missing one
    folder = RunFolder(pathlib.Path(config.run.run_dir))
    training = folder.read_config()
    description = read_description(folder)
    network, step = load_answering(folder, config.weights.checkpoint)
    tf.config.run_functions_eagerly(False)
    dataset = open_data(training)
    require_same_data(folder, training, dataset.summary()["splits"])
    return ExportedRun(training, folder, network, step, dataset, description)


def identity(
    run: ExportedRun, config: ExportConfig, contract: Contract
) -> dict[str, Any]:
    """What is exported, of which run, and by which code."""
    results = run.folder.read_results()
    described = environment.describe()
    trainable, total = parameter_counts(run.network.model)
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "name": run.name,
        "created": created,
        "formats": list(config.export.formats),
        "flags": flags.to_values(run.config),
        "export_flags": flags.to_values(config),
        "checkpoint": {"name": config.weights.checkpoint, "step": run.step},
        "weights_sha256": state.weights_sha256(run.network.model),
        "parameters": {"trainable": trainable, "total": total},
        "dataset": {key: run.description[key] for key in ("source", "splits")},
        "features": contract.features.to_json(),
        "task": manifest.task(contract),
        "max_pixels": contract.max_pixels,
        "temperature": contract.temperature,
        "columns": [dataclasses.asdict(column) for column in contract.columns],
        "signatures": manifest.signatures(contract),
        "validation": results.get("best") or results.get("validation"),
        "test": results.get("test"),
        "code": described["code"],
        "packages": described["packages"],
        "cpu": described["cpu"]["model"],
    }
