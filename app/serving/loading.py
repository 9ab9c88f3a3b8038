"""What predicts: a run's model, or an export from its folder alone."""

import pathlib
import sys
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from app.configs.commands import PredictConfig
from app.runs.answers import load_answering
from app.runs.data import read_description
from app.runs.folder import RunFolder
from app.runs.numerics import contained
from app.serving import manifest, publishing
from app.serving.signatures import Contract, Server
from base.errors import UserError
from pipelines.features import ExampleSpec


class Predictor(Protocol):
    """Answers decoded examples.

    Attributes:
      contract: what it takes and answers.
    """

    contract: Contract

    def answers(self, examples: Any) -> dict[str, np.ndarray]:
        """What the task tells of decoded examples.

        Args:
          examples: [B, …], or a table's `numbers` and `texts`.
        """
        ...


def load_predictor(config: PredictConfig) -> Predictor:
    """The export or the run that `config` names.

    Raises:
      UserError: it is not there, or not whole.
    """
    if config.run.export_dir:
        return Exported(pathlib.Path(config.run.export_dir))
    assert config.run.run_dir is not None  # PredictorConfig wants one of the two
    return Trained(pathlib.Path(config.run.run_dir), config.weights.checkpoint)


class Trained:
    """A run's model, answering by the very graph that an export of it holds.

    Attributes:
      contract: what it takes and answers.
    """

    @contained()
    def __init__(self, run_dir: pathlib.Path, checkpoint: str) -> None:
        """Loads the weights of a checkpoint, `best` or `last`.

        Raises:
          UserError: there is no such run or checkpoint.
        """
        folder = RunFolder(run_dir)
        data = folder.read_config().data
        network, _ = load_answering(folder, checkpoint)
        features = ExampleSpec.from_json(read_description(folder)["features"])
        self.contract = Contract(features, network.task, data.max_pixels)
        self._server = Server(network.model, self.contract)
        self._call = self._server.raw_function()

    def answers(self, examples: Any) -> dict[str, np.ndarray]:
        """What the model answers of decoded examples, [B, …] as the raw signature."""
        return _answers(self._call, self.contract, examples)


class Exported:
    """An export that answers.

    Attributes:
      path: the version's folder.
      contract: what it takes and answers.
    """

    def __init__(self, export_dir: pathlib.Path) -> None:
        """Verifies and loads an export.

        Args:
          export_dir: a version's folder, or the folder above for the newest one.

        Raises:
          UserError: it is no export, is damaged, or holds no SavedModel.
        """
        self.path = _version_in(export_dir)
        content = manifest.read_verified(self.path)
        if "saved_model" not in content["formats"]:
            raise UserError(
                f"--export_dir={self.path} holds no SavedModel, only"
                f" {', '.join(content['formats'])}; export with --format=saved_model"
            )
        print(
            f"{self.path}: a SavedModel is a program. Its files are those that its"
            " export.json names, which tells damage, not intent: load only exports of"
            " people you trust",
            file=sys.stderr,
        )
        self.contract = manifest.contract_of(content)
        # Kept: the signatures hold the variables by weak references.
        self._loaded = tf.saved_model.load(str(self.path))
        self._call = self._loaded.signatures[self.contract.input.raw_signature]

    def answers(self, examples: Any) -> dict[str, np.ndarray]:
        """What the export answers of decoded examples, [B, …] as its raw signature."""
        return _answers(self._call, self.contract, examples)


def _answers(call: Any, contract: Contract, examples: Any) -> dict[str, np.ndarray]:
    named: Mapping[str, np.ndarray] = contract.input.named(examples)
    given = {
        name: tf.cast(tf.constant(named[name]), spec.dtype)
        for name, spec in contract.input.raw_inputs.items()
    }
    return {name: value.numpy() for name, value in call(**given).items()}


def _version_in(export_dir: pathlib.Path) -> pathlib.Path:
    """The folder itself, or the newest version in it."""
    versions = publishing.versions(export_dir)
    if versions and not (export_dir / manifest.FILE_NAME).exists():
        return export_dir / str(versions[-1])
    return export_dir
