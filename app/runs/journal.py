"""What a run tells while it trains: metrics.jsonl, TensorBoard, the screen, figures."""

import contextlib
from typing import Any

import numpy as np
import tensorflow as tf

from app.configs import flags
from app.configs.commands import TrainConfig
from app.reporting import environment, figures, summary
from app.reporting.metrics import MetricsLog
from app.reporting.progress import ProgressDisplay
from app.reporting.tensorboard import TensorBoardLog
from app.runs import own_parts
from app.runs.folder import RunFolder, Start
from app.training.actions import Line
from app.training.inspection import Inspector
from app.training.loop import Speed
from app.training.state import TrainState
from base import files, given

# Pictures of the first batch that TensorBoard shows, as the model sees them.
_PICTURES = 64


class Journal:
    """Everything that is written and shown between a start and its end.

    Args:
      folder: of the run.
      config: of the run.
      start: how it starts.
      step: where it starts.
      evaluated_step: of the last evaluation that is not to be done again.
      last_step: of the training.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        start: Start,
        *,
        step: int,
        evaluated_step: int,
        last_step: int,
    ) -> None:
        self._folder = folder
        self._config = config
        self._metrics = MetricsLog(folder.metrics)
        # What will be written again must not stand there twice: from step 0 everything,
        # else what was said of a step whose evaluation the checkpoint does not know.
        last_kept = evaluated_step if start is Start.RESUME else -1
        self._metrics.truncate_after(last_kept)
        self._board = TensorBoardLog(folder.tensorboard, max(last_kept, step - 1))
        self._display = ProgressDisplay(
            last_step, first_step=step, mode=config.training.progress
        )

    def close(self) -> None:
        """Ends the bar and hands everything to the disk."""
        self._display.close()
        self._board.close()

    def record_start(self, step: int, changed: dict[str, list[Any]]) -> None:
        """Adds this start to environment.json: versions, devices, changed flags."""
        path = self._folder.environment
        earlier: list[Any] = []
        if path.exists() and step >= 0:
            with contextlib.suppress(ValueError, KeyError):
                earlier = files.read_json(path)["starts"]
        now = environment.describe() | {"own_parts": own_parts.loaded(self._config)}
        own_parts.tell_changes(earlier[-1:], now["own_parts"])
        if handed := given.fingerprints():
            now["given"] = handed
        starts = [*earlier, {"step": step, "changed_flags": changed, **now}]
        files.write_json(path, {**now, "starts": starts})

    def show_model(self, text: str, inspector: Inspector) -> None:
        """Keeps the layer table, and shows what the model sees, its graph and flags."""
        files.write_text(self._folder.model, text)
        inputs = inspector.batch_of(0).inputs
        if isinstance(inputs, tf.Tensor) and inputs.shape.rank == 4:
            self._board.pictures(0, "augmented", np.asarray(inputs[:_PICTURES]))
        self._board.graph(inspector.forward_graph())
        self._board.hyperparameters(
            flags.to_values(self._config), str(self._folder.path)
        )

    def evaluated(self, line: Line) -> None:
        """Logs an evaluation."""
        self._metrics.append(line)
        self._board.scalars(int(line["step"]), line)
        self._display.evaluated(line)

    def norms(self, step: int, values: dict[str, float]) -> None:
        """Logs the norms of weights and gradients by layer."""
        self._board.scalars(step, values)

    def staleness(self, step: int, counts: np.ndarray) -> None:
        """Logs how many updates were applied between steps' reads and writes.

        Args:
          step: up to which it was measured.
          counts: steps by their staleness.
        """
        values = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
        self._board.histograms(step, {"staleness": values})

    def segment(self, state: TrainState, loss: float, speed: Speed) -> None:
        """Shows where the training is."""
        self._display.update(
            state.progress.step, loss, speed.examples_per_second, speed.input_wait
        )

    def finish(self) -> None:
        """Draws the figures and says what was reached and where it lies."""
        self._board.finish(succeeded=True)
        if self._config.training.figures:
            figures.draw_all(self._folder.path)
        self._display.close()
        self._display.say(summary.describe(self._folder.path))
