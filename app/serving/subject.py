"""What is exported: a run's model, with the data that it was trained on."""

import dataclasses
import datetime
import pathlib
import re
from typing import Any

import tensorflow as tf

from app import flags
from app.config import ExportConfig, TrainConfig
from app.errors import UserError
from app.experiment import RunFolder
from app.reporting import environment
from app.serving import manifest
from app.serving.signatures import Contract
from app.training import assembly, state
from models.description import parameter_counts
from pipelines.dataset import Dataset
from pipelines.features import Features


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
    network: assembly.Network
    step: int
    dataset: Dataset
    description: dict[str, Any]

    @property
    def name(self) -> str:
        """The run's, in letters that a model server takes."""
        return re.sub(r"[^A-Za-z0-9_.-]", "_", self.folder.path.absolute().name)


def open_subject(config: ExportConfig) -> Subject:
    """Loads the run and the data it was trained on.

    Raises:
      UserError: one of them is missing, has changed, or cannot be exported.
    """
    assert config.run.run_dir is not None  # RunConfig refuses a missing one
    folder = RunFolder(pathlib.Path(config.run.run_dir))
    training = folder.read_config()
    description = assembly.read_description(folder)
    features = Features.from_json(description["features"])
    if features.kind not in ("image", "vector"):
        raise UserError(
            f"--run_dir={folder.path} was trained on {features.kind}s: expected a run"
            " on images or vectors"
        )
    network, step = assembly.load_network(folder, config.weights.checkpoint)
    tf.config.run_functions_eagerly(False)
    dataset = assembly.open_data(training)
    assembly.require_same_data(folder, training, dataset.summary()["splits"])
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
        "signatures": manifest.signatures(contract),
        "validation": results.get("best") or results.get("validation"),
        "test": results.get("test"),
        "code": described["code"],
        "packages": described["packages"],
        "cpu": described["cpu"]["model"],
    }
