"""What TensorBoard shows of a run: metrics.jsonl's tags, pictures, graph, flags."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary
from tensorboard.plugins.scalar import summary_v2 as scalar_summary

from app.reporting import events

# Smaller pictures are enlarged to about this many pixels a side, to be seen at all.
_PICTURE_SIDE = 64
_NOT_SCALARS = ("step",)


class TensorBoardLog:
    """Writes into RUN_DIR/tensorboard; close it, or use it in a `with`.

    Every start writes a file of its own. What earlier starts wrote beyond the step that
    this one resumes from is removed first, and what they wrote of the same tag and step
    is not written twice: TensorBoard shows each step once, as of one uninterrupted run.

    Args:
      folder: of the event files.
      resumed_step: the checkpoint's step, or -1 for a start from nothing.
    """

    def __init__(self, folder: pathlib.Path, resumed_step: int = -1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._written = events.keep_until(folder, resumed_step)
        self._writer = tf.summary.create_file_writer(str(folder))

    def __enter__(self) -> "TensorBoardLog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()

    def flush(self) -> None:
        """Hands what was written to the operating system: a kill costs none of it."""
        self._writer.flush()

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes numbers by tag: a line of metrics.jsonl, or norms by layer.

        What is not a number is left out, and so is `step` itself.
        """
        points = summary_pb2.Summary()
        for tag, value in values.items():
            is_number = isinstance(value, int | float | np.number | np.ndarray)
            if is_number and tag not in _NOT_SCALARS and self._is_new(tag, step):
                points.MergeFrom(scalar_summary.scalar_pb(tag, float(value)))
        if not points.value:
            return
        # One record: tf.summary.scalar takes a millisecond for each number.
        with self._writer.as_default(step):
            tf.summary.experimental.write_raw_pb(points.SerializeToString(), step)
        self.flush()

    def histograms(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes the distribution of each array by tag, such as a layer's weights."""
        with self._writer.as_default(step):
            for tag, value in values.items():
                if self._is_new(tag, step):
                    tf.summary.histogram(tag, value)
        self.flush()

    def pictures(self, step: int, tag: str, images: np.ndarray, most: int = 64) -> None:
        """Writes pictures side by side, as one: what the model sees.

        Args:
          step: of the training.
          tag: for example `augmented`.
          images: [n, H, W, C], pixel values 0 to 255 (beyond is clipped), any dtype.
          most: how many are shown.
        """
        if self._is_new(tag, step):
            with self._writer.as_default(step):
                tf.summary.image(tag, picture_grid(images[:most])[np.newaxis])
            self.flush()

    def graph(self, function: Any) -> None:
        """Writes a `tf.function`'s concrete function, as the Graphs tab shows it."""
        if self._is_new("graph", 0):
            with self._writer.as_default(0):
                tf.summary.graph(function.graph)
            self.flush()

    def hyperparameters(self, flags: Mapping[str, Any], run: str) -> None:
        """Shows the flags in the HParams tab, beside the metrics that came of them.

        Args:
          flags: by name; None is shown as `none`.
          run: what the tab calls this run.
        """
        if self._is_new("_hparams_/session_start_info", 0):
            shown = {
                name: value if isinstance(value, bool | int | float | str) else "none"
                for name, value in flags.items()
            }
            with self._writer.as_default(0):
                hparams.hparams(shown, trial_id=run)
            self.flush()

    def finish(self, succeeded: bool) -> None:
        """Tells the HParams tab how the run ended."""
        status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
        end = hparams_summary.session_end_pb(status)
        if self._is_new(end.value[0].tag, 0):
            with self._writer.as_default(0):
                tf.summary.experimental.write_raw_pb(end.SerializeToString(), step=0)
            self.flush()

    def _is_new(self, tag: str, step: int) -> bool:
        """Whether this tag was not written at this step yet; from now on it was."""
        if (tag, step) in self._written:
            return False
        self._written.add((tag, step))
        return True


def picture_grid(images: np.ndarray) -> np.ndarray:
    """One picture of many, in rows, with a line of grey between.

    Args:
      images: [n, H, W, C] with n > 0 and C of 1, 3 or 4; values 0 to 255.

    Returns:
      uint8 [height, width, C].
    """
    pictures = np.clip(np.rint(np.asarray(images, np.float32)), 0, 255).astype(np.uint8)
    count, height, width, channels = pictures.shape
    scale = max(1, round(_PICTURE_SIDE / max(height, width)))
    pictures = pictures.repeat(scale, axis=1).repeat(scale, axis=2)
    columns = int(np.ceil(np.sqrt(count)))
    rows = int(np.ceil(count / columns))
    cell_height, cell_width = height * scale + 2, width * scale + 2
    grid = np.full((rows * cell_height, columns * cell_width, channels), 128, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // columns * cell_height, index % columns * cell_width
        grid[top : top + cell_height - 2, left : left + cell_width - 2] = picture
    return grid
