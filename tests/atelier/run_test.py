"""What a `Run` gives: results, metrics, figures, a model, answers, an export."""

import contextlib
import io
import pathlib
import sys
import tempfile
from html import parser
from typing import Any

import numpy as np
import PIL.Image
import pytest
import sklearn.datasets
import tensorflow as tf

import atelier
from app.reporting.progress import ProgressDisplay
from app.training.state import weights_sha256

pytestmark = pytest.mark.slow


class RunTest(tf.test.TestCase):
    run_of_digits: atelier.Run

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        digits = sklearn.datasets.load_digits()
        cls.x = (digits.images * 15).astype(np.uint8)
        cls.y = digits.target
        cls.path = (
            pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
            / "a <run>"
        )
        with contextlib.redirect_stdout(io.StringIO()):
            cls.run_of_digits = atelier.train(
                dataset=(cls.x, cls.y),
                model="mlp",
                epochs=6,
                learning_rate=0.01,
                run_dir=cls.path,
                progress="quiet",
            )

    def test_results_metrics_and_figures_are_the_folder_s(self) -> None:
        run = self.run_of_digits
        self.assertEqual((run.state, run.results["state"]), ("finished", "finished"))
        self.assertLen(run.metrics, 6)
        self.assertEqual(run.metrics[-1]["step"], run.results["steps"])
        table = run.metrics.to_arrow()
        self.assertEqual(table.num_rows, 6)
        self.assertEqual(
            table["validation/loss"].to_pylist(),
            [line["validation/loss"] for line in run.metrics],
        )
        self.assertIn("loss_over_training_epochs.png", {f.name for f in run.figures})
        self.assertEqual(run.flags["model"], "mlp")
        self.assertIn("finished", repr(run))

    @pytest.mark.skipif("pandas" in sys.modules, reason="pandas is there")
    def test_pandas_is_asked_for_where_it_is_needed(self) -> None:
        try:
            frame = self.run_of_digits.metrics.to_pandas()
        except atelier.UserError as error:
            self.assertIn("pip install pandas", str(error))
        else:
            self.assertLen(frame, 6)

    def test_a_notebook_shows_a_table_and_the_figures(self) -> None:
        page = self.run_of_digits._repr_html_()
        seen = Page()
        seen.feed(page)
        self.assertEqual(seen.open, [])
        self.assertIn(str(self.path), seen.text)  # with its < and >, as text
        accuracy = self.run_of_digits.results["validation"]["accuracy"]
        self.assertIn(f"accuracy {accuracy:.4f}", seen.text)
        self.assertIn(str(self.run_of_digits.figures[0]), seen.links)
        empty = atelier.Run(self.path / "nothing")
        self.assertIn("not started", empty._repr_html_())

    def test_the_model_has_the_weights_and_is_the_user_s(self) -> None:
        model = self.run_of_digits.model
        last = self.run_of_digits.results["best"]["step"]
        if last == self.run_of_digits.results["steps"]:
            digest = self.run_of_digits.results["weights_sha256"]
            self.assertEqual(weights_sha256(model), digest)
        logits = model.predict(self.x[..., None].astype(np.float32), verbose=0)
        answers = self.run_of_digits.predict(self.x)
        self.assertAllEqual(logits.argmax(-1), answers["class_id"])

    def test_evaluate_gives_the_metrics_and_guards_the_test_split(self) -> None:
        run = self.run_of_digits
        found = run.evaluate()
        best = run.results["best"]
        self.assertEqual(found["examples"], best["examples"])
        self.assertAllClose(found["loss"], best["loss"])
        other = run.evaluate(dataset=(self.x[:50], self.y[:50]))
        self.assertEqual(other["examples"], 50)
        self.assertEqual(run.evaluate(split="test")["examples"], 179)
        with self.assertRaisesRegex(atelier.UserError, "has been evaluated"):
            run.evaluate("test")
        self.assertEqual(run.evaluate("test", again=True)["examples"], 179)
        with self.assertRaisesRegex(atelier.UserError, "--split=tset"):
            run.evaluate("tset")

    def test_predict_takes_files_and_arrays(self) -> None:
        run = self.run_of_digits
        folder = self.create_tempdir_of_images(5)
        by_array = run.predict(self.x[:5], batch_size=2)
        by_file = run.predict([folder / f"{i}.png" for i in range(5)])
        self.assertAllEqual(by_file["label"], by_array["label"])
        self.assertAllClose(by_file["probabilities"], by_array["probabilities"])
        self.assertEqual(by_file["path"][3], str(folder / "3.png"))
        self.assertAllEqual(run.predict(folder)["label"], by_array["label"])
        larger = run.predict(self.x[:5].repeat(2, 1).repeat(2, 2))
        self.assertLen(larger["label"], 5)
        for wrong, said in (
            (self.x[:5].astype(np.float32), "expected images as uint8"),
            (np.zeros((3, 8, 8, 3), np.uint8), "expected images of \\(8, 8, 1\\)"),
            (np.zeros((3, 64)), "expected images of"),
            (self.x[:0], "no examples"),
            (folder / "none.png", "no such file"),
        ):
            with self.assertRaisesRegex(atelier.UserError, said):
                run.predict(wrong)
        with self.assertRaisesRegex(atelier.UserError, "expected best or last"):
            run.predict(self.x, checkpoint="newest")

    @pytest.mark.export
    def test_export_gives_the_version_that_answers_alike(self) -> None:
        version = self.run_of_digits.export(calibrate=False, format="saved_model")
        self.assertEqual(version.name, "1")
        served = tf.saved_model.load(str(version)).signatures["pixels"]
        answers = served(pixels=tf.constant(self.x[:9, ..., None]))
        found = self.run_of_digits.predict(self.x[:9])
        self.assertAllClose(answers["probabilities"], found["probabilities"])

    def create_tempdir_of_images(self, count: int) -> pathlib.Path:
        folder = pathlib.Path(self.get_temp_dir()) / "images"
        folder.mkdir()
        for i in range(count):
            PIL.Image.fromarray(self.x[i]).save(folder / f"{i}.png")
        return folder


class OpenTest(tf.test.TestCase):
    def test_what_is_no_run_is_refused(self) -> None:
        with self.assertRaisesRegex(atelier.UserError, "expected a run folder"):
            atelier.open(self.get_temp_dir())

    def test_a_run_that_has_not_begun_has_nothing(self) -> None:
        run = atelier.Run(pathlib.Path(self.get_temp_dir()) / "none")
        self.assertEqual((run.state, run.results, run.metrics), ("interrupted", {}, []))


class NotebookTest(tf.test.TestCase):
    def test_the_output_of_a_notebook_has_a_bar(self) -> None:
        # As ipykernel.iostream.OutStream, which is no terminal.
        stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
        for kind, bar in ((stream, True), (io.StringIO, False)):
            shown = kind()
            with ProgressDisplay(10, stream=shown) as display:
                display.update(5, 1.0, 100.0, 0.0)
            self.assertEqual("step 5/10" in shown.getvalue(), bar)


class Page(parser.HTMLParser):
    """What is on a page: its text, its links, and what was never closed."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.links, self.open = "", [], []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


if __name__ == "__main__":
    tf.test.main()
