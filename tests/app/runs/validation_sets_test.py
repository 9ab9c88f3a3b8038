"""Several validation sets: each with its own metrics, and one of them may decide."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.main import main
from tests.pipelines.folders import write_image

pytestmark = pytest.mark.slow

FLAGS = (
    "--model=mlp",
    "--model_args=width=16,depth=1",
    "--epochs=3",
    "--batch_size=16",
    "--split=0.7,0.3,0",
    "--learning_rate=0.03",
    "--progress=lines",
)


def _bright(path: Path, brightness: int, seed: int) -> None:
    """An image whose mean tells its class: the label is easy to learn."""
    generator = np.random.default_rng(seed)
    pixels = np.clip(generator.normal(brightness, 30, [6, 6]), 0, 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    tf.io.write_file(
        str(path), tf.io.encode_png(tf.constant(pixels[..., None], tf.uint8))
    )


def write_nights_and_days(folder: Path, count: int, first_seed: int) -> Path:
    """`count` images of each of two classes."""
    for seed in range(first_seed, first_seed + count):
        _bright(folder / "night" / f"{seed}.png", 80, 2 * seed)
        _bright(folder / "day" / f"{seed}.png", 170, 2 * seed + 1)
    return folder


class ValidationSetsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self.id()
        self.data = write_nights_and_days(self.root / "data", 40, 0)
        self.clean = write_nights_and_days(self.root / "clean", 11, 1000)
        # As if the labels were swapped: what helps elsewhere does harm here.
        self.swapped = self.root / "swapped"
        for old, new in (("night", "day"), ("day", "night")):
            (self.swapped / new).mkdir(parents=True)
            for path in sorted((self.clean / old).iterdir())[:9]:
                (self.swapped / new / path.name).write_bytes(path.read_bytes())

    @property
    def sets(self) -> str:
        return f"--validation_sets=clean={self.clean},swapped={self.swapped}"

    def train(self, name: str, *arguments: str, status: int = 0) -> Path:
        run_dir = self.root / name
        given = ["train", f"--run_dir={run_dir}", f"--dataset={self.data}", *FLAGS]
        self.assertEqual(main([*given, *arguments]), status)
        return run_dir

    def read(self, run_dir: Path) -> tuple[dict, list[dict]]:
        lines = (run_dir / "metrics.jsonl").read_text().splitlines()
        results = json.loads((run_dir / "results.json").read_text())
        return results, [json.loads(line) for line in lines]

    def test_each_has_metrics_that_an_evaluation_by_itself_repeats(self) -> None:
        run_dir = self.train("run", self.sets)
        plain, _ = self.read(self.train("plain"))
        results, lines = self.read(run_dir)
        self.assertEqual(results["weights_sha256"], plain["weights_sha256"])
        self.assertNotIn("validation_sets", plain)
        last = lines[-1]
        self.assertEqual(last["validation_clean/examples"], 22)
        self.assertEqual(last["validation_swapped/examples"], 18)
        self.assertGreater(last["validation_clean/accuracy"], 0.9)
        self.assertLess(last["validation_swapped/accuracy"], 0.1)
        found = results["validation_sets"]
        self.assertEqual(found["clean"]["loss"], last["validation_clean/loss"])
        self.assertEqual(found["swapped"]["examples"], 18)
        self.assertEqual(results["validation"]["loss"], last["validation/loss"])
        splits = json.loads((run_dir / "dataset.json").read_text())
        self.assertEqual(
            splits["splits"]["validation_swapped"]["classes"], {"day": 9, "night": 9}
        )
        self.assertEqual(splits["duplicates"]["validation_clean in train"], 0)
        with contextlib.redirect_stdout(io.StringIO()) as text:
            split = ["--split=validation_swapped", "--checkpoint=last"]
            self.assertEqual(main(["evaluate", f"--run_dir={run_dir}", *split]), 0)
        loss = last["validation_swapped/loss"]
        self.assertIn(f"loss {loss:.4f}", text.getvalue())
        figures = {path.name for path in (run_dir / "figures").iterdir()}
        self.assertIn("validation_swapped_confusion_matrix.png", figures)

    def test_one_of_them_may_decide_what_is_best_and_when_to_stop(self) -> None:
        flags = ("--early_stopping=2", "--epochs=9", "--learning_rate=0.01")
        own, lines = self.read(self.train("own", self.sets, *flags))
        monitor = "--monitor=validation_swapped/loss"
        other, other_lines = self.read(self.train("other", self.sets, monitor, *flags))
        self.assertLen(other_lines, 3)  # it gets worse from the first on
        self.assertEqual(other["best"]["epoch"], other_lines[0]["epoch"])
        self.assertGreater(len(lines), 3)
        self.assertGreater(own["best"]["epoch"], other["best"]["epoch"])
        best = other["best"]["validation_sets"]["swapped"]["loss"]
        self.assertEqual(best, other_lines[0]["validation_swapped/loss"])

    def test_a_pause_goes_on_to_the_same_lines_and_a_changed_set_is_refused(
        self,
    ) -> None:
        monitor = "--monitor=validation_swapped/accuracy"
        _, whole = self.read(self.train("whole", self.sets, monitor))
        run_dir = self.train("run", self.sets, monitor, "--stop_after=1.5", status=75)
        extra = self.clean / "day" / "extra.png"
        write_image(extra, 7, (6, 6), "L")
        with contextlib.redirect_stderr(io.StringIO()) as text:
            self.train("run", self.sets, monitor, status=2)
        self.assertIn("the validation_clean split has changed", text.getvalue())
        extra.unlink()
        self.train("run", self.sets, monitor)
        _, lines = self.read(run_dir)
        for mine, other in zip(lines, whole, strict=True):
            for timing in ("seconds", "examples_per_second", "input_wait"):
                del mine[timing], other[timing]
            # Of the process so far: the second run's is the first one's or more.
            del mine["peak_memory_bytes"], other["peak_memory_bytes"]
            self.assertEqual(mine, other)

    def test_mistakes_are_one_line(self) -> None:
        other = self.root / "other"
        write_image(other / "dusk" / "1.png", 1, (6, 6), "L")
        write_image(other / "day" / "2.png", 2, (6, 6), "L")
        for arguments, message in (
            ([f"--validation_sets=a={other}"], "has the class 'dusk'"),
            (["--validation_sets=a=/no/where"], "validation_sets, a: .*/no/where"),
            ([f"--validation_sets={other}"], "expected each set once"),
            ([f"--validation_sets=a={other},a={other}"], "expected each set once"),
            ([self.sets, "--monitor=validation_cleam/loss"], "validation_clean"),
            (["--monitor=validation_clean/loss"], "expected auto or one of loss"),
        ):
            with contextlib.redirect_stderr(io.StringIO()) as text:
                run_dir = self.train("wrong", *arguments, status=2)
            self.assertRegex(text.getvalue(), message)
            self.assertLen(text.getvalue().strip().splitlines(), 1)
            self.assertFalse(run_dir.exists())


if __name__ == "__main__":
    tf.test.main()
