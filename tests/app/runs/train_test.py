"""`atelier train` from flags to a run folder, in this process."""

import contextlib
import io
import json
import pathlib
import shutil

import keras
import numpy as np
import PIL.Image
import pytest
import sklearn.datasets
import tensorflow as tf
from absl.testing import parameterized

from app.main import main
from tests.processes import TIMINGS

QUICK = (
    "--model=mlp",
    "--model_args=width=16,depth=1",
    "--epochs=2",
    "--batch_size=256",
    "--progress=quiet",
)
# As recipes/cifar10-speedrun.flags, on digits.
SPEEDRUN = (
    "--model=cnn",
    "--model_args=width=4,depth=2,identity_init=true",
    "--whitening=2",
    "--optimizer=conv_muon",
    "--learning_rate=0.1",
    "--momentum=0.6",
    "--schedule=triangular",
    "--warmup_epochs=0.3",
    "--label_smoothing=0.2",
    "--augment=alternating_flip,translate=1",
    "--ema=0.9",
    "--test_time_augmentation=flip",
)


class TrainTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())

    def train(self, name: str, *arguments: str, status: int = 0) -> pathlib.Path:
        run_dir = self.root / name
        given = ["train", f"--run_dir={run_dir}", *QUICK, *arguments]
        self.assertEqual(main(given), status)
        return run_dir

    def results(self, run_dir: pathlib.Path) -> dict:
        return json.loads((run_dir / "results.json").read_text())

    def lines(self, run_dir: pathlib.Path) -> list[dict]:
        text = (run_dir / "metrics.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def test_a_run_leaves_the_folder_that_was_promised(self) -> None:
        run_dir = self.train("run")
        for name in (
            "flags.txt",
            "environment.json",
            "dataset.json",
            "model.txt",
            "metrics.jsonl",
            "results.json",
            "checkpoints",
            "tensorboard",
            "figures/loss_over_training_epochs.png",
            "figures/accuracy_over_training_epochs.png",
            "figures/learning_rate_over_training_epochs.png",
        ):
            self.assertTrue((run_dir / name).exists(), name)
        results = self.results(run_dir)
        self.assertEqual(results["state"], "finished")
        self.assertEqual(results["steps"], 12)
        self.assertEqual(results["resumes"], 0)
        self.assertIsNone(results["test"])
        self.assertEqual(results["validation"]["examples"], 180)
        self.assertLen(results["weights_sha256"], 64)
        first, last = self.lines(run_dir)
        self.assertEqual((first["step"], last["step"]), (6, 12))
        self.assertEqual(last["examples"], 12 * 256)
        self.assertLess(last["validation/loss"], first["validation/loss"])

    @pytest.mark.slow
    def test_the_same_flags_give_the_same_weights_and_another_seed_others(self) -> None:
        first, second, other = (
            self.results(self.train(name, f"--seed={seed}"))["weights_sha256"]
            for name, seed in (("first", 1), ("second", 1), ("other", 2))
        )
        self.assertEqual(first, second)
        self.assertNotEqual(first, other)

    @pytest.mark.slow
    def test_flags_txt_repeats_the_run(self) -> None:
        run_dir = self.train("run", "--augment=translate=1", "--label_smoothing=0.1")
        again = self.root / "again"
        main(["train", f"--flagfile={run_dir / 'flags.txt'}", f"--run_dir={again}"])
        self.assertEqual(
            self.results(again)["weights_sha256"],
            self.results(run_dir)["weights_sha256"],
        )

    @parameterized.parameters(
        (), ("--balance=oversample", "--class_weights=3=2"), SPEEDRUN
    )
    @pytest.mark.slow
    def test_a_pause_goes_on_to_the_same_weights_and_metrics(self, *flags) -> None:
        whole = self.train("whole", *flags)
        paused = self.train("paused", "--stop_after=0.7", *flags, status=75)
        self.assertEqual(self.results(paused)["state"], "interrupted")
        self.train("paused", *flags)
        self.assertEqual(
            self.results(paused)["weights_sha256"],
            self.results(whole)["weights_sha256"],
        )
        self.assertEqual(self.results(paused)["resumes"], 1)
        for mine, theirs in zip(self.lines(paused), self.lines(whole), strict=True):
            for timing in TIMINGS:
                del mine[timing], theirs[timing]
            self.assertEqual(mine, theirs)

    @pytest.mark.slow
    def test_a_finished_run_is_left_as_it_is(self) -> None:
        run_dir = self.train("run")
        before = (run_dir / "results.json").read_bytes()
        self.train("run")
        self.assertEqual((run_dir / "results.json").read_bytes(), before)

    @pytest.mark.slow
    def test_streamed_resident_and_eager_steps_train_the_same(self) -> None:
        resident = self.results(self.train("resident"))
        streamed = self.results(self.train("streamed", "--cache=none"))
        eager = self.results(self.train("eager", "--eager", "--epochs=0.5"))
        compiled = self.results(self.train("compiled", "--epochs=0.5"))
        self.assertEqual(resident["weights_sha256"], streamed["weights_sha256"])
        self.assertAllClose(
            eager["validation"]["loss"], compiled["validation"]["loss"], rtol=1e-4
        )

    @pytest.mark.slow
    def test_evaluations_may_come_by_steps_or_minutes(self) -> None:
        def steps(name: str, *flags: str, status: int = 0) -> list[int]:
            run = self.train(name, *flags, status=status)
            return [line["step"] for line in self.lines(run)]

        self.assertEqual(steps("steps", "--evaluate_every=5s"), [5, 10, 12])
        every = ("--evaluate_every=5s", "--stop_after=1")
        self.assertEqual(steps("paused", *every, status=75), [5])
        self.assertEqual(steps("paused", "--evaluate_every=5s"), [5, 10, 12])
        self.assertEqual(steps("minutes", "--evaluate_every=60m"), [12])

    @pytest.mark.slow
    def test_early_stopping_ends_the_run(self) -> None:
        run_dir = self.train(
            "run",
            "--epochs=30",
            "--optimizer=sgd",
            "--learning_rate=1e-30",
            "--early_stopping=2",
        )
        lines = self.lines(run_dir)
        self.assertLen(lines, 3)
        self.assertEqual(self.results(run_dir)["best"]["epoch"], lines[0]["epoch"])

    @pytest.mark.slow
    def test_the_average_of_the_weights_is_what_comes_out(self) -> None:
        plain = self.train("plain")
        averaged = self.train("averaged", "--ema=0.9")
        self.assertNotEqual(
            self.results(plain)["weights_sha256"],
            self.results(averaged)["weights_sha256"],
        )
        mine, theirs = self.lines(averaged)[-1], self.lines(plain)[-1]
        self.assertEqual(mine["train/loss"], theirs["train/loss"])
        self.assertNotEqual(mine["validation/loss"], theirs["validation/loss"])

    @pytest.mark.slow
    def test_a_loss_that_is_not_finite_ends_the_run_by_name(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as text:
            run_dir = self.train(
                "run", "--optimizer=sgd", "--learning_rate=1e30", status=1
            )
        self.assertRegex(
            text.getvalue(), r"step \d+ gave a loss of .*: .* was the first"
        )
        self.assertIn("last good checkpoint: none", text.getvalue())
        self.assertEqual(self.results(run_dir)["state"], "failed")

    @parameterized.parameters(
        ("--model=linear", "--model_args="),
        ("--model=resnet", "--model_args=depth=8,width=4"),
        ("--model=vit", "--model_args=patch=4,depth=1,width=8,heads=2"),
    )
    @pytest.mark.slow
    def test_every_model_trains(self, *model):
        run_dir = self.train("run", *model, "--epochs=0.2", "--log_norms")
        self.assertEqual(self.results(run_dir)["state"], "finished")

    @pytest.mark.slow
    def test_a_pretrained_backbone_trains_from_nothing_and_from_a_file(self):
        backbone = "backbone=MobileNetV2,trainable=head"
        weights = self.root / "backbone.weights.h5"
        keras.applications.MobileNetV2(
            input_shape=(32, 32, 3), include_top=False, weights=None
        ).save_weights(weights)
        for name in ("none", str(weights)):
            run_dir = self.train(
                pathlib.Path(name).stem,
                "--model=pretrained",
                f"--model_args={backbone},weights={name}",
                "--image_size=32",
                "--epochs=0.2",
            )
            parameters = self.results(run_dir)["parameters"]
            self.assertLess(parameters["trainable"], parameters["total"] / 100)

    @pytest.mark.slow
    def test_regression_on_a_real_table(self):
        data = sklearn.datasets.load_diabetes()
        path = self.root / "diabetes.npz"
        np.savez(
            path,
            x_train=data.data.astype(np.float32),
            y_train=data.target.astype(np.float32),
        )
        run_dir = self.train(
            "run",
            f"--dataset={path}",
            "--batch_size=32",
            "--epochs=30",
            "--learning_rate=0.01",
            "--loss=huber",
        )
        last = self.lines(run_dir)[-1]
        self.assertGreater(last["validation/r2"], 0.2)
        self.assertLess(last["validation/rmse"], 0.9 * data.target.std())
        status = main(["evaluate", f"--run_dir={run_dir}", "--split=test"])
        self.assertEqual(status, 0)
        test = self.results(run_dir)["test"]
        self.assertEqual(test["examples"], 44)
        self.assertGreater(test["rmse"], test["mae"])
        figure = run_dir / "figures" / "test_predicted_against_true.png"
        self.assertTrue(figure.exists())

    @parameterized.parameters(
        ("no_images", "holds no images"),
        ("one_class", "one class"),
        ("empty_class", "c holds no images"),
        ("cut", "cut.png"),
        ("zero_bytes", "zero.png"),
    )
    def test_a_folder_that_is_not_fit_is_refused_in_one_line(self, fault, named):
        data = self.root / "data"
        for name in ("a", "b"):
            (data / name).mkdir(parents=True)
            for i in range(20):
                pixels = np.full([6, 6], 5 * i + ord(name), np.uint8)
                PIL.Image.fromarray(pixels).save(data / name / f"{i}.png")
        if fault == "no_images":
            shutil.rmtree(data)
            data.mkdir()
        elif fault == "one_class":
            shutil.rmtree(data / "b")
        elif fault == "empty_class":
            (data / "c").mkdir()
        else:
            content = (data / "a" / "1.png").read_bytes()
            (data / "b" / "cut.png").write_bytes(content[:-20])
            if fault == "zero_bytes":
                (data / "b" / "cut.png").rename(data / "b" / "zero.png")
                (data / "b" / "zero.png").write_bytes(b"")
        with contextlib.redirect_stderr(io.StringIO()) as text:
            run_dir = self.train("run", f"--dataset={data}", "--batch_size=8", status=2)
        self.assertLen(text.getvalue().strip().splitlines(), 1)
        self.assertIn(named, text.getvalue())
        self.assertFalse(run_dir.exists())

    @parameterized.parameters("mixed_bfloat16", "mixed_float16")
    @pytest.mark.slow
    def test_mixed_precision_keeps_variables_in_float32(self, precision) -> None:
        run_dir = self.train("run", f"--precision={precision}", "--learning_rate=0.03")
        (newest,) = sorted((run_dir / "checkpoints").glob("step-*"))[-1:]
        with np.load(newest / "state.npz") as arrays:
            kinds = {arrays[n].dtype for n in arrays.files if n.startswith("model/")}
        self.assertEqual(kinds, {np.dtype(np.float32)})
        self.assertGreater(self.lines(run_dir)[-1]["validation/accuracy"], 0.3)

    @parameterized.parameters(
        ("--model=resnett", "resnet"),
        ("--model_args=widht=3", "width"),
        ("--dataset=/no/such/folder", "/no/such/folder"),
        ("--batch_size=5000", "5000"),
        ("--monitor=accurracy", "accurracy"),
        ("--augment=flipp", "flip"),
        ("--optimizer=adamm", "adam"),
    )
    def test_a_mistake_is_one_line_and_leaves_nothing(self, argument, named) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as text:
            run_dir = self.train("run", argument, status=2)
        self.assertLen(text.getvalue().strip().splitlines(), 1)
        self.assertIn(named, text.getvalue())
        self.assertFalse(run_dir.exists())


if __name__ == "__main__":
    tf.test.main()
