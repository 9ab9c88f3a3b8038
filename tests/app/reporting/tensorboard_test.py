"""TensorBoard's files hold each tag once a step, as TensorBoard itself reads them."""

import collections
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from app.reporting import events
from app.reporting.tensorboard import TensorBoardLog, picture_grid


def accumulated(folder: pathlib.Path) -> event_accumulator.EventAccumulator:
    """What TensorBoard's own reader finds in a folder."""
    found = event_accumulator.EventAccumulator(str(folder), {"tensors": 0})
    return found.Reload()


def counts(folder: pathlib.Path) -> collections.Counter:
    """How often each (tag, step) is written."""
    return collections.Counter(
        (tag, event.step)
        for event in all_events(folder)
        for tag in events.tags_of(event)
    )


def all_events(folder: pathlib.Path) -> Iterator:
    for path in sorted(folder.glob(events.PATTERN)):
        yield from events.read_events(path)


def values(folder: pathlib.Path, tag: str) -> list[tuple[int, float]]:
    # By step: names of files that one process began within a second end in a counter,
    # and ".10" comes before ".9".
    return sorted(
        (event.step, float(tf.make_ndarray(value.tensor)))
        for event in all_events(folder)
        for value in event.summary.value
        if value.tag == tag
    )


class TensorBoardLogTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir()) / "tensorboard"

    def test_scalars_have_the_tags_of_metrics_jsonl(self) -> None:
        line = {"step": 5, "train/loss": 0.5, "learning_rate": np.float32(1e-3)}
        with TensorBoardLog(self.folder) as log:
            log.scalars(5, {**line, "validation/r2": None})
        tags = accumulated(self.folder).Tags()["tensors"]
        self.assertCountEqual(tags, ["train/loss", "learning_rate"])
        self.assertEqual(values(self.folder, "train/loss"), [(5, 0.5)])

    def test_killed_start_keeps_what_was_written(self) -> None:
        log = TensorBoardLog(self.folder)
        log.scalars(5, {"train/loss": 0.5})
        # Neither closed nor flushed: as after kill -9.
        self.assertEqual(values(self.folder, "train/loss"), [(5, 0.5)])
        log.close()

    def test_each_step_once_after_two_resumes(self) -> None:
        self._train(resumed=-1, steps=(10, 20, 30))
        self._train(resumed=20, steps=(30, 40, 50))
        self._train(resumed=30, steps=(40, 50))
        found = counts(self.folder)
        self.assertEqual(set(found.values()), {1}, found)
        steps = [step for step, _ in values(self.folder, "train/loss")]
        self.assertEqual(steps, [10, 20, 30, 40, 50])

    def test_without_rewriting_steps_are_doubled(self) -> None:
        self._train(resumed=-1, steps=(10, 20, 30))
        self._train(resumed=99, steps=())
        with tf.summary.create_file_writer(str(self.folder)).as_default(30):
            tf.summary.scalar("train/loss", 0.0)
            tf.summary.flush()
        self.assertEqual(counts(self.folder)["train/loss", 30], 2)

    def test_resumed_values_replace_the_lost_ones(self) -> None:
        self._train(resumed=-1, steps=(10, 20), value=1.0)
        self._train(resumed=10, steps=(20,), value=2.0)
        self.assertEqual(values(self.folder, "train/loss"), [(10, 1.0), (20, 2.0)])

    def test_start_from_nothing_removes_an_earlier_one(self) -> None:
        self._train(resumed=-1, steps=(10, 20), value=1.0)
        self._train(resumed=-1, steps=(10,), value=2.0)
        self.assertEqual(values(self.folder, "train/loss"), [(10, 2.0)])

    def test_torn_end_costs_the_last_record_only(self) -> None:
        self._train(resumed=-1, steps=(10, 20))
        (path,) = self.folder.glob(events.PATTERN)
        path.write_bytes(path.read_bytes()[:-3])
        kept = events.keep_until(self.folder, 99)
        for tag in ("train/loss", "validation/loss"):  # one record holds both
            self.assertIn((tag, 10), kept)
            self.assertNotIn((tag, 20), kept)
            self.assertEqual(values(self.folder, tag), [(10, 1.0)])

    def test_leftover_of_a_killed_rewrite_is_removed(self) -> None:
        self._train(resumed=-1, steps=(10,))
        leftover = self.folder / ".events.out.tfevents.1.host"
        leftover.write_bytes(b"half")
        events.keep_until(self.folder, 10)
        self.assertFalse(leftover.exists())

    def test_pictures_histograms_graph_and_flags_are_shown(self) -> None:
        function = tf.function(lambda x: tf.nn.relu(x) * 2.0)
        graph = function.get_concrete_function(tf.TensorSpec([None, 4]))
        with TensorBoardLog(self.folder) as log:
            log.pictures(0, "augmented", np.full((3, 8, 8, 1), 300.0))
            log.histograms(0, {"weights/dense": np.arange(10.0)})
            log.graph(graph)
            log.hyperparameters({"model": "cnn", "epochs": 2.5, "ema": None}, "run-1")
            log.finish(succeeded=True)
        found = accumulated(self.folder)
        tags = found.Tags()["tensors"]
        self.assertContainsSubset(["augmented", "weights/dense"], tags)
        self.assertIn("Relu", [node.op for node in self._graph().node])
        flags = self._hparams("_hparams_/session_start_info").session_start_info.hparams
        self.assertEqual(flags["epochs"].number_value, 2.5)
        self.assertEqual(flags["ema"].string_value, "none")
        end = self._hparams("_hparams_/session_end_info").session_end_info
        self.assertEqual(end.status, 1)  # STATUS_SUCCESS

    def _train(self, resumed: int, steps: tuple[int, ...], value: float = 1.0) -> None:
        with TensorBoardLog(self.folder, resumed) as log:
            log.hyperparameters({"model": "cnn"}, "run")
            log.pictures(0, "augmented", np.zeros((2, 8, 8, 1)))
            for step in steps:
                log.scalars(step, {"train/loss": value, "validation/loss": value})

    def _graph(self) -> tf.compat.v1.GraphDef:
        (found,) = [e.graph_def for e in all_events(self.folder) if e.graph_def]
        return tf.compat.v1.GraphDef.FromString(found)

    def _hparams(self, tag: str) -> plugin_data_pb2.HParamsPluginData:
        (content,) = [
            value.metadata.plugin_data.content
            for event in all_events(self.folder)
            for value in event.summary.value
            if value.tag == tag
        ]
        return plugin_data_pb2.HParamsPluginData.FromString(content)


class PictureGridTest(tf.test.TestCase):
    def test_small_pictures_are_enlarged_and_laid_in_rows(self) -> None:
        images = np.stack([np.full((8, 8, 3), 10.0 * i) for i in range(5)])
        grid = picture_grid(images)
        self.assertEqual(grid.shape, (2 * 66, 3 * 66, 3))
        self.assertEqual(grid[0, 0, 0], 0)
        self.assertEqual(grid[0, 66, 0], 10)
        self.assertEqual(grid[66, 0, 0], 30)

    def test_large_pictures_stay_and_values_are_clipped(self) -> None:
        grid = picture_grid(np.full((1, 100, 80, 1), 300.0))
        self.assertEqual(grid.shape, (102, 82, 1))
        self.assertEqual(grid[0, 0, 0], 255)


if __name__ == "__main__":
    tf.test.main()
