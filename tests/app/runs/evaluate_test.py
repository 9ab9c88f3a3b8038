"""`evaluate` and `predict`: counted once, recorded, and named when they cannot be."""

import contextlib
import csv
import io
import json
import os
import pathlib

import numpy as np
import PIL.Image
import pytest
import scipy.special
import tensorflow as tf
from absl.testing import parameterized

from app.main import main
from app.reporting.predictions import read_predictions
from app.runs import evaluate
from app.runs.data import open_data
from app.runs.folder import RunFolder
from app.runs.trained import load_network
from app.runs.validation_sets import ValidationSet
from app.training.evaluation import Evaluator

pytestmark = pytest.mark.slow

CLASSES = ("dark", "light")


def make_images(folder: pathlib.Path, count: int, seed: int) -> None:
    """Class folders of noisy grey pictures, 12×12, dark and light."""
    chance = np.random.default_rng(seed)
    for level, name in zip((60, 190), CLASSES, strict=True):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = chance.normal(level, 40, [12, 12]).clip(0, 255).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(folder / name / f"{i}.png")


class AssessmentTest(tf.test.TestCase):
    """One small run on real files serves all tests."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.context = contextlib.ExitStack()
        cls.root = pathlib.Path(cls.context.enter_context(_temporary_folder()))
        make_images(cls.root / "data", 40, seed=0)
        cls.run_dir = cls.root / "run"
        status = main(
            [
                "train",
                f"--run_dir={cls.run_dir}",
                f"--dataset={cls.root / 'data'}",
                "--model=cnn",
                "--model_args=width=4",
                "--batch_size=8",
                "--epochs=3",
                "--learning_rate=0.01",
                "--progress=quiet",
            ]
        )
        assert status == 0

    @classmethod
    def tearDownClass(cls):
        cls.context.close()
        super().tearDownClass()

    def run_command(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([arguments[0], f"--run_dir={self.run_dir}", *arguments[1:]])
        return status, out.getvalue(), err.getvalue()

    def results(self) -> dict:
        return json.loads((self.run_dir / "results.json").read_text())

    def test_the_test_split_is_seen_once(self):
        self.assertIsNone(self.results()["test"])
        status, out, _ = self.run_command("evaluate", "--split=test")
        self.assertEqual(status, 0)
        self.assertIn("test: 8 examples", out)
        test = self.results()["test"]
        self.assertEqual((test["examples"], test["evaluations"]), (8, 1))
        low, high = test["accuracy_95"]
        self.assertBetween(test["accuracy"], low, high)
        for name in ("confusion_matrix", "per_class", "reliability"):
            self.assertTrue((self.run_dir / "figures" / f"test_{name}.png").exists())
        status, _, err = self.run_command("evaluate", "--split=test")
        self.assertEqual(status, 2)
        self.assertIn("has been evaluated 1 time;", err)
        status, _, _ = self.run_command("evaluate", "--split=test", "--again")
        self.assertEqual(status, 0)
        self.assertEqual(self.results()["test"]["evaluations"], 2)

    def test_validation_agrees_with_the_training_runs_own(self):
        before = self.results()
        status, out, _ = self.run_command("evaluate", "--checkpoint=last")
        self.assertEqual(status, 0)
        self.assertIn(f"accuracy {before['validation']['accuracy']:.4f}", out)
        self.assertIn(f"loss {before['validation']['loss']:.4f}", out)
        self.assertEqual(self.results(), before)

    def test_only_what_has_changed_is_drawn_again(self):
        figures = self.run_dir / "figures"
        for split in ("validation", "train"):
            self.assertEqual(self.run_command("evaluate", f"--split={split}")[0], 0)
        before = {path: path.stat().st_mtime_ns for path in figures.iterdir()}
        _, out, _ = self.run_command("evaluate", "--split=train")
        after = {path: path.stat().st_mtime_ns for path in figures.iterdir()}
        changed = {path.name for path in after if after[path] != before[path]}
        of_split = {path.name for path in after if path.name.startswith("train_")}
        self.assertNotEmpty(of_split)
        self.assertEqual(changed, of_split)
        for path in figures.iterdir():  # all are named, as their files are current
            self.assertIn(f"  {path}\n", out)
        # A curve that is older than what it shows is drawn again, and a lost figure.
        curve = figures / "loss_over_training_epochs.png"
        lost = figures / "validation_confusion_matrix.png"
        os.utime(curve, (0, 0))
        lost.unlink()
        self.run_command("evaluate", "--split=train")
        self.assertGreater(curve.stat().st_mtime, 0)
        self.assertFalse(lost.exists())  # others of its split are there, and current
        for path in figures.glob("validation_*"):
            path.unlink()
        self.run_command("evaluate", "--split=train")
        self.assertTrue(lost.exists())

    def test_other_data_is_evaluated_by_the_runs_classes(self):
        other = self.root / "other"
        make_images(other, 5, seed=1)
        status, out, _ = self.run_command("evaluate", f"--dataset={other}")
        self.assertEqual(status, 0)
        self.assertIn("10 examples", out)
        (other / "light").rename(other / "bright")
        status, _, err = self.run_command("evaluate", f"--dataset={other}")
        self.assertEqual(status, 2)
        self.assertIn("'bright'", err)

    def test_a_folder_that_is_no_run_is_refused(self):
        with contextlib.redirect_stderr(io.StringIO()) as err:
            status = main(["evaluate", f"--run_dir={self.root / 'data'}"])
        self.assertEqual(status, 2)
        self.assertIn("expected a run folder", err.getvalue())
        self.assertNotIn(".lock", [p.name for p in (self.root / "data").iterdir()])

    def predict(self, *arguments: str) -> tuple[int, str, list[dict]]:
        output = self.root / "out.csv"
        output.unlink(missing_ok=True)
        status, _, err = self.run_command("predict", f"--output={output}", *arguments)
        rows = list(csv.DictReader(output.open())) if output.exists() else []
        return status, err, rows

    def test_files_and_folders_are_classified(self):
        folder = self.root / "data" / "light"
        one = self.root / "data" / "dark" / "0.png"
        status, _, rows = self.predict(f"--input={folder},{one}", "--top_k=2")
        self.assertEqual(status, 0)
        self.assertLen(rows, 41)
        self.assertEqual(rows[-1]["path"], str(one))
        right = sum(row["label"] == "light" for row in rows[:-1])
        self.assertGreater(right, 30)
        for row in rows:
            both = float(row["probability"]) + float(row["probability_2"])
            self.assertAllClose(both, 1.0, atol=1e-5)

    def test_an_unreadable_file_is_named_and_skipped_only_if_asked(self):
        mixed = self.root / "mixed"
        mixed.mkdir(exist_ok=True)
        good = (self.root / "data" / "dark" / "1.png").read_bytes()
        (mixed / "good.png").write_bytes(good)
        (mixed / "cut.png").write_bytes(good[: len(good) // 2])
        (mixed / "empty.png").write_bytes(b"")
        status, err, rows = self.predict(f"--input={mixed}")
        self.assertEqual(status, 2)
        self.assertIn("cut.png", err)
        self.assertEmpty(rows)
        status, err, rows = self.predict(f"--input={mixed}", "--skip_unreadable")
        self.assertEqual(status, 0)
        self.assertEqual([row["path"] for row in rows], [str(mixed / "good.png")])
        self.assertIn("cut.png", err)
        self.assertIn("empty.png", err)

    def test_a_record_that_a_stream_cannot_read_is_named(self):
        data = self.root / "streamed"
        make_images(data, 30, seed=2)
        for path in (data / "dark").glob("*.png"):
            image = PIL.Image.open(path).convert("RGB")
            image.save(path.with_suffix(".jpg"), quality=95)
            path.unlink()
        bad = data / "dark" / "7.jpg"
        content = bytearray(bad.read_bytes())
        # Headers and end are whole, so that only decoding can tell.
        start = content.index(b"\xff\xda") + 12
        content[start:-2] = b"\xff\xc4" * ((len(content) - 2 - start) // 2)
        bad.write_bytes(content)
        run_dir = self.root / "streamed_run"
        with contextlib.redirect_stderr(io.StringIO()) as err:
            status = main(
                [
                    "train",
                    f"--run_dir={run_dir}",
                    f"--dataset={data}",
                    "--model=linear",
                    "--batch_size=8",
                    "--cache=none",
                    "--epochs=2",
                    "--progress=quiet",
                ]
            )
        self.assertEqual(status, 2)
        self.assertIn(str(bad), err.getvalue())

    def test_mistakes_are_one_line(self):
        for arguments, named in (
            (("predict",), "--input is missing"),
            (("predict", "--input=/no/such", "--output=x.csv"), "/no/such"),
            (("predict", "--input=/", "--output=/no/folder/x.csv"), "/no/folder"),
            (("evaluate", "--split=tests"), "split"),
        ):
            status, _, err = self.run_command(*arguments)
            self.assertEqual(status, 2)
            self.assertIn(named, err)
            self.assertLen(err.strip().splitlines(), 1)


class SameSumsTest(tf.test.TestCase, parameterized.TestCase):
    """`evaluate` measures by the sums that training took, to the last bit."""

    @parameterized.named_parameters(
        ("held", "classes", ("--model=cnn", "--model_args=width=4")),
        ("streamed", "classes", ("--model=linear", "--cache=none")),
        ("values", "values", ("--model=mlp", "--model_args=width=8", "--ema=0.9")),
    )
    def test_validation_is_metrics_jsonls_last_line(self, data, flags):
        root = pathlib.Path(self.get_temp_dir())
        if data == "classes":
            make_images(root / data, 50, seed=0)
        else:
            make_values(root / "values.npz", 333)
            data = "values.npz"
        run_dir = root / "run"
        given = (f"--run_dir={run_dir}", f"--dataset={root / data}", *flags)
        more = (
            "--batch_size=8",
            "--epochs=2",
            "--progress=quiet",
            "--split=0.6,0.3,0.1",
        )
        self.assertEqual(main(["train", *given, *more]), 0)
        last = json.loads((run_dir / "metrics.jsonl").read_text().splitlines()[-1])
        told = {
            tag.removeprefix("validation/"): value
            for tag, value in last.items()
            if tag.startswith("validation/")
        }
        folder = RunFolder(run_dir)
        network, _ = load_network(folder, "last")
        config = folder.read_config()
        dataset = open_data(config)
        subject = ValidationSet(dataset, "validation")
        found = evaluate.measure(folder, config, network, subject, "validation")
        self.assertEqual({name: found[name] for name in told}, told)
        self.assertIn("loss", told)
        # One sum over all examples is rounded otherwise: it shows what is compared.
        batches = dataset.evaluation("validation", subject.examples)
        one = Evaluator(
            strategy=tf.distribute.get_strategy(),
            model=network.model,
            loss=network.evaluation_loss,
            metrics=network.metrics,
            batches=batches,
            examples=subject.examples,
            batch_size=subject.examples,
        ).evaluate()
        self.assertAllClose(one["loss"], told["loss"], rtol=1e-5)
        # Example by example the kept outputs are the model's own.
        kept = read_predictions(run_dir, "validation")
        (batch,) = batches.take(1)
        outputs = network.model(batch.inputs, training=False).numpy()
        if kept.classes:
            outputs = scipy.special.softmax(outputs, axis=-1)
        self.assertAllEqual(kept.labels, batch.labels)
        self.assertAllClose(kept.outputs, outputs, rtol=1e-5, atol=1e-6)
        self.assertEqual(kept.names, tuple(dataset.names("validation")))

    def test_more_replicas_than_one_cannot_be_observed(self):
        class TwoReplicas:
            num_replicas_in_sync = 2

        evaluator = object.__new__(Evaluator)
        evaluator._strategy = TwoReplicas()
        with self.assertRaisesRegex(ValueError, "2 replicas: expected one"):
            evaluator.sums(observe=lambda labels, outputs: None)


def make_values(path: pathlib.Path, count: int) -> None:
    """Vectors with a value each."""
    chance = np.random.default_rng(0)
    x = chance.normal(size=[count, 4]).astype(np.float32)
    y = (x @ [3.0, -2.0, 0.5, 7.0] + 40 + chance.normal(size=count)).astype(np.float32)
    np.savez(path, x_train=x, y_train=y)


def _temporary_folder():
    import tempfile

    return tempfile.TemporaryDirectory()


if __name__ == "__main__":
    tf.test.main()
