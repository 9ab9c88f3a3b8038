"""A run folder in a Python program: `Run`, and `open_run`, which is `atelier.open`."""

import contextlib
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.configs import flags as flag_values
from app.configs import keywords
from app.configs.commands import EvaluateConfig, ExportConfig
from app.reporting.metrics import MetricsLog
from app.runs.folder import RunFolder
from atelier import notebook, own_data, own_models
from atelier.start import start
from base import given
from base.errors import UserError
from base.given import Given

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pyarrow as pa


class Metrics(list[dict[str, Any]]):
    """The lines of metrics.jsonl, one a evaluation, in their order."""

    def to_arrow(self) -> "pa.Table":
        """As a table of Arrow, a column for each name."""
        import pyarrow as pa

        names = dict.fromkeys(name for line in self for name in line)
        return pa.table({name: [line.get(name) for line in self] for name in names})

    def to_pandas(self) -> Any:
        """As a DataFrame of pandas.

        Raises:
          UserError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UserError(
                "to_pandas needs the package pandas: pip install pandas, or use"
                " to_arrow()"
            ) from None
        return pd.DataFrame(list(self))


class Run:
    """A run: its folder, read anew whenever it is asked.

    Attributes:
      path: the run folder.
    """

    def __init__(self, path: pathlib.Path, held: Sequence[Given] = ()) -> None:
        """Takes the folder, and what flags.txt names that a program holds."""
        self.path = path
        self._folder = RunFolder(path)
        self._held = tuple(held)
        self._predictors: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"<atelier.Run {self.path}: {self.state}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return notebook.html(self.path, self.results)

    @property
    def state(self) -> str:
        """`finished`, `interrupted` or `failed`."""
        return str(self.results.get("state", "interrupted"))

    @property
    def results(self) -> dict[str, Any]:
        """results.json; empty before a start has come so far as to write it."""
        return self._folder.read_results()

    @property
    def metrics(self) -> Metrics:
        """The evaluations so far: a list of dicts, with to_pandas and to_arrow."""
        if not self._folder.metrics.exists():
            return Metrics()
        return Metrics(dict(line) for line in MetricsLog(self._folder.metrics).read())

    @property
    def flags(self) -> dict[str, Any]:
        """The flags of the run by their names."""
        return flag_values.to_values(self._folder.read_config())

    @property
    def figures(self) -> list[pathlib.Path]:
        """The figures that were drawn."""
        return sorted((self.path / "figures").glob("*.png"))

    @property
    def model(self) -> "keras.Model":
        """A Keras model with the weights of the best evaluation, anew each time.

        Raises:
          UserError: there is no checkpoint yet, or it is not whole.
        """
        start()
        from app.runs.numerics import contained
        from app.runs.trained import load_network

        with self._at_hand(), contained():
            network, _ = load_network(self._folder, "best")
        return network.model

    def evaluate(self, split: str | None = None, **flags: Any) -> dict[str, Any]:
        """Evaluates the run and draws its figures, as `atelier evaluate` does.

        Args:
          split: train, validation (as by default), test, or a further validation set.
          **flags: `checkpoint`, `again`, and `dataset`: other data with the run's
            classes, by name or in memory.

        Returns:
          The metrics by name.

        Raises:
          UserError: there is no such split, or the test split was seen already.
        """
        other = flags.get("dataset")
        held = []
        if other is not None and not isinstance(other, str | os.PathLike):
            held = [own_data.hand_over(other)]
            flags["dataset"] = held[0].name
        named = {"run_dir": self.path, "split": split, **flags}
        config = keywords.parse(EvaluateConfig, named)
        start()
        from app.runs import evaluate

        with self._at_hand(), given.at_hand(held):
            return evaluate.evaluate(config).metrics

    def predict(
        self, examples: Any, *, checkpoint: str = "best", batch_size: int = 64
    ) -> "dict[str, np.ndarray]":
        """What the run answers of examples, in their order.

        Args:
          examples: for images, files or folders, or an array as the run's data is, of
            any height and width where the images are resized; for vectors, an array;
            for tables, CSV or Parquet files, or a table of pandas or Arrow.
          checkpoint: `best` or `last`.
          batch_size: examples that are answered at a time.

        Returns:
          Arrays [n, …] by name: for classes `probabilities`, `class_id` and `label`,
          for values `value`; for files of images `path` too.

        Raises:
          UserError: the examples are of another kind, or one cannot be read.
        """
        start()
        from atelier import predicting

        with self._at_hand():
            predictor = self._predictor(checkpoint)
        return predicting.answers(predictor, examples, batch_size)

    def export(self, **flags: Any) -> pathlib.Path:
        """Publishes the run, as `atelier export` does; returns the version's folder.

        Raises:
          UserError: it cannot be exported as asked.
          ExportRefused: what would serve is not what was trained.
        """
        config = keywords.parse(ExportConfig, {"run_dir": self.path, **flags})
        start()
        from app.serving import exporting

        with self._at_hand():
            return exporting.export(config).path

    def _at_hand(self) -> contextlib.AbstractContextManager[None]:
        return given.at_hand(self._held)

    def _predictor(self, checkpoint: str) -> Any:
        """What answers, kept until the run has gone on."""
        from app.serving.loading import Trained
        from app.training import checkpoints

        if checkpoint not in ("best", "last"):
            raise UserError(f"checkpoint={checkpoint}: expected best or last")
        best = (self.results.get("best") or {}).get("step")
        key = (checkpoint, best, *checkpoints.steps_of(self._folder.checkpoints))
        if key not in self._predictors:
            self._predictors = {key: Trained(self.path, checkpoint)}
        return self._predictors[key]


def open_run(
    run_dir: str | os.PathLike[str], *, dataset: Any = None, model: Any = None
) -> Run:
    """The run in a folder that `train` made, here or by the command.

    Args:
      run_dir: the folder.
      dataset: the data, where the run was given it in memory and it is needed.
      model: the model, likewise.

    Raises:
      UserError: it is no run folder, or was made with something else.
    """
    path = pathlib.Path(run_dir)
    config = RunFolder(path).read_config()
    held = []
    for flag, value, named, hand_over in (
        ("dataset", dataset, config.data.dataset, own_data.hand_over),
        ("model", model, config.model.model, own_models.hand_over),
    ):
        if value is None:
            continue
        part = value if isinstance(value, str) else hand_over(value)
        if (part.name if isinstance(part, Given) else part) != named:
            raise UserError(
                f"{flag}: {path} was made with {named}, and this is"
                f" {part.name if isinstance(part, Given) else part}; give what it was"
                " made with"
            )
        held += [part] if isinstance(part, Given) else []
    return Run(path, held)
