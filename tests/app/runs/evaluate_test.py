"""`evaluate` and `predict`: counted once, recorded, and named when they cannot be."""

import contextlib
import csv
import io
import json
import pathlib

import numpy as np
import PIL.Image
import tensorflow as tf

from app.main import main

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


def _temporary_folder():
    import tempfile

    return tempfile.TemporaryDirectory()


if __name__ == "__main__":
    tf.test.main()
