"""What the files of a run folder are called, and the one reader of its results.json.

The lowest room of `app`, which all others may import; it imports no TensorFlow.
"""

import dataclasses
import pathlib
from typing import Any

from base import files
from base.errors import UserError


@dataclasses.dataclass(frozen=True)
class RunFiles:
    """Names of everything in a run folder."""

    path: pathlib.Path

    @property
    def flags(self) -> pathlib.Path:
        """The flagfile that repeats the run."""
        return self.path / "flags.txt"

    @property
    def environment(self) -> pathlib.Path:
        """Versions, devices, git commit, command line."""
        return self.path / "environment.json"

    @property
    def dataset(self) -> pathlib.Path:
        """Source, features, classes, size and fingerprint of each split."""
        return self.path / "dataset.json"

    @property
    def model(self) -> pathlib.Path:
        """Layer table with parameter counts."""
        return self.path / "model.txt"

    @property
    def metrics(self) -> pathlib.Path:
        """A line per evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def results(self) -> pathlib.Path:
        """What came out."""
        return self.path / "results.json"

    @property
    def answers(self) -> pathlib.Path:
        """What the task chose on the validation split for its answers, if it does."""
        return self.path / "answers.json"

    @property
    def checkpoints(self) -> pathlib.Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> pathlib.Path:
        """Folder of event files."""
        return self.path / "tensorboard"

    @property
    def figures(self) -> pathlib.Path:
        """Folder of figures and tables."""
        return self.path / "figures"

    @property
    def evaluations(self) -> pathlib.Path:
        """Folder of what evaluations kept, a folder for each split."""
        return self.path / "evaluations"

    def read_results(self) -> dict[str, Any]:
        """results.json, or nothing before the first start wrote it.

        Raises:
          UserError: it is not what `atelier train` writes.
        """
        return self._read_object(self.results)

    def read_dataset(self) -> dict[str, Any]:
        """dataset.json, or nothing before the first start wrote it.

        Raises:
          UserError: it is not what `atelier train` writes.
        """
        return self._read_object(self.dataset)

    def _read_object(self, path: pathlib.Path) -> dict[str, Any]:
        try:
            found = files.read_json(path)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: expected what `atelier train` writes ({error}); give the "
                "folder of a run"
            ) from error
        if not isinstance(found, dict):
            raise UserError(f"{path}: expected a JSON object")
        return found
