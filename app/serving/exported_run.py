"""What is exported: a run's model, with the data that it was trained on."""

import dataclasses
import datetime
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf

from app.configs import flags
from app.configs.commands import ExportConfig, TrainConfig
from app.reporting import environment
from app.runs.data import open_data, read_description, require_same_data
from app.runs.folder import RunFolder
from app.runs.network import Network
from app.runs.trained import load_network
from app.serving import columns, manifest
from app.serving.signatures import Contract
from app.training import state
from models.description import parameter_counts
from pipelines.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is exported.

    Attributes:
      config: the run's.
      folder: the run's.
      network: with the weights of the checkpoint.
      step: of the checkpoint.
      dataset: that the run was trained on, unchanged.
      description: of the run's dataset.json.
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
        """What an export takes and answers, uncalibrated."""
        features = self.dataset.features
        if features.kind != "table":
            return Contract(features, max_pixels)
        every = np.arange(len(self.dataset.source))
        rows = self.dataset.source.read(every)
        assert isinstance(rows, dict)  # as a table's are
        numeric = [c.name for c in features.columns if c.kind != "categorical"]
        missing = {
            name
            for i, name in enumerate(numeric)
            if np.isnan(rows["numbers"][:, i]).any()
        }
        served = columns.serve(features.columns, missing)
        return Contract(features, max_pixels, columns=served)


def open_subject(config: ExportConfig) -> Subject:
    """Loads the run and the data it was trained on.

    Raises:
      UserError: one of them is missing, or has changed.
    """
    assert config.run.run_dir is not None  # RunConfig refuses a missing one
    folder = RunFolder(pathlib.Path(config.run.run_dir))
    training = folder.read_config()
    description = read_description(folder)
    network, step = load_network(folder, config.weights.checkpoint)
    tf.config.run_functions_eagerly(False)
    dataset = open_data(training)
    require_same_data(folder, training, dataset.summary()["splits"])
    return Subject(training, folder, network, step, dataset, description)


def identity(
    subject: Subject, config: ExportConfig, contract: Contract
) -> dict[str, Any]:
    """What is exported, of which run, and by which code."""
    results = subject.folder.read_results()
    described = environment.describe()
    trainable, total = parameter_counts(subject.network.model)
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "name": subject.name,
        "created": created,
        "formats": list(config.export.formats),
        "flags": flags.to_values(subject.config),
        "export_flags": flags.to_values(config),
        "checkpoint": {"name": config.weights.checkpoint, "step": subject.step},
        "weights_sha256": state.weights_sha256(subject.network.model),
        "parameters": {"trainable": trainable, "total": total},
        "dataset": {key: subject.description[key] for key in ("source", "splits")},
        "features": contract.features.to_json(),
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
