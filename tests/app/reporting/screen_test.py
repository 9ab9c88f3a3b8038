"""What is shown while training and at its end, on terminals and elsewhere."""

import io
import json
import pathlib
import subprocess
import sys
from unittest import mock

import pytest
import tensorflow as tf

from app.reporting import environment, progress, summary
from app.reporting.progress import ProgressDisplay

LINE = {
    "step": 50,
    "epoch": 5.0,
    "train/loss": 0.25,
    "validation/accuracy": 0.975,
    "validation/examples": 180,
    "examples_per_second": 1234.5,
    "input_wait": 0.03,
}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class ProgressDisplayTest(tf.test.TestCase):
    def test_terminal_shows_a_bar(self) -> None:
        stream = Terminal()
        with ProgressDisplay(100, stream=stream) as display:
            display.update(50, 0.5, 1000.0, 0.02)
            display._bar.refresh()
            display.evaluated(LINE)
        shown = stream.getvalue()
        for text in ("step 50/100", "loss 0.5", "1,000 examples/s", "input wait 2%"):
            self.assertIn(text, shown)
        self.assertRegex(shown, r"\d\d:\d\d left")
        self.assertIn("validation accuracy 0.9750", shown)

    def test_resumed_bar_starts_where_the_run_does(self) -> None:
        stream = Terminal()
        with ProgressDisplay(100, first_step=40, stream=stream):
            pass
        self.assertIn("step 40/100", stream.getvalue())

    def test_no_terminal_shows_plain_lines(self) -> None:
        stream = io.StringIO()
        with ProgressDisplay(100, stream=stream) as display:
            display.evaluated(LINE)
        (line,) = stream.getvalue().splitlines()
        self.assertStartsWith(line, "epoch 5 · step 50/100 · train loss 0.2500")
        self.assertIn("1,234 examples/s · input wait 3%", line)
        self.assertNotIn("validation examples", line)
        self.assertNotIn("\r", stream.getvalue())

    def test_lines_between_evaluations_are_rare(self) -> None:
        stream = io.StringIO()
        clock = mock.patch.object(progress.time, "monotonic")
        with clock as now:
            now.return_value = 0.0
            display = ProgressDisplay(1000, stream=stream)
            for second in range(1, 36):
                now.return_value = float(second)
                display.update(second * 10, 0.5, 100.0, 0.0)
        lines = stream.getvalue().splitlines()
        self.assertLen(lines, 3)
        # 100 of 1,000 steps took 10 s.
        self.assertStartsWith(lines[0], "step 100/1,000")
        self.assertEndsWith(lines[0], "01:30 left")

    def test_quiet_prints_nothing(self) -> None:
        stream = Terminal()
        with ProgressDisplay(100, mode="quiet", stream=stream) as display:
            display.update(50, 0.5, 1000.0, 0.0)
            display.evaluated(LINE)
            display.say("resumed")
        self.assertEqual(stream.getvalue(), "")

    def test_bar_and_lines_can_be_asked_for(self) -> None:
        bar, lines = io.StringIO(), Terminal()
        with ProgressDisplay(100, mode="bar", stream=bar):
            pass
        self.assertIn("step 0/100", bar.getvalue())
        with ProgressDisplay(100, mode="lines", stream=lines):
            pass
        self.assertEqual(lines.getvalue(), "")


class SummaryTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.run_dir = pathlib.Path(self.get_temp_dir())
        self.results = {
            "state": "finished",
            "steps": 110,
            "epochs": 10,
            "seconds": 12.3,
            "resumes": 1,
            "parameters": {"trainable": 34000, "total": 34567},
            "best": {"epoch": 8, "validation/accuracy": 0.98},
            "validation": {"examples": 180, "accuracy": 0.98},
            "test": None,
        }
        self._write()
        (self.run_dir / "figures").mkdir()

    def test_tells_what_was_reached_and_where_it_lies(self) -> None:
        text = summary.describe(self.run_dir)
        for part in ("finished", "resumed 1 time", "34,567 parameters", "0.9800"):
            self.assertIn(part, text)
        self.assertIn(str(self.run_dir / "figures"), text)
        self.assertNotIn("tensorboard", text)
        self.assertIn("--split=test", text)

    def test_tells_the_test_accuracy_with_its_interval(self) -> None:
        test = {"examples": 179, "accuracy": 0.9777, "accuracy_95": [0.94, 0.99]}
        self.results["test"] = test
        self._write()
        text = summary.describe(self.run_dir)
        self.assertIn("0.9777 (95 %: 0.9400 to 0.9900) on 179 examples", text)

    def test_the_headline_and_its_interval_are_the_runs_own(self) -> None:
        self.results |= {
            "task": {"name": "multi_label", "headline": "map"},
            "metrics": {"map": {"title": "mAP", "direction": "max", "unit": ""}},
            "best": {"epoch": 8, "loss": 0.2, "exact": 0.5, "map": 0.75},
            "validation": {"examples": 9, "exact": 0.5, "map": 0.75},
            "test": {"examples": 9, "exact": 0.5, "map": 0.7, "map_95": [0.6, 0.8]},
        }
        self._write()
        text = summary.describe(self.run_dir)
        self.assertIn("best epoch          8 (validation map 0.7500)", text)
        self.assertIn("test       map      0.7000 (95 %: 0.6000 to 0.8000) on 9", text)

    def test_a_run_that_measured_nothing_says_so(self) -> None:
        self.results["validation"] = {"examples": 9}
        self._write()
        self.assertIn("validation nothing measured", summary.describe(self.run_dir))

    def test_regression_is_told_by_its_error(self) -> None:
        self.results["test"] = {"examples": 44, "mae": 41.25, "loss": 0.5}
        self._write()
        self.assertIn("mae      41.2500 on 44", summary.describe(self.run_dir))

    def test_exit_status_says_whether_the_test_set_was_seen(self) -> None:
        self.assertEqual(summary.main(["--tested", str(self.run_dir)]), 1)
        self.results["test"] = {"examples": 1, "accuracy": 1.0}
        self._write()
        self.assertEqual(summary.main(["--tested", str(self.run_dir)]), 0)

    @pytest.mark.process
    def test_folder_that_is_no_run_is_named(self) -> None:
        ran = subprocess.run(
            [sys.executable, "-m", "app.reporting.summary", "/nowhere/run"],
            cwd=environment.SOURCE,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(ran.returncode, 2)
        self.assertIn("/nowhere/run/results.json", ran.stderr)
        self.assertLen(ran.stderr.splitlines(), 1)

    def _write(self) -> None:
        (self.run_dir / "results.json").write_text(json.dumps(self.results))


class EnvironmentTest(tf.test.TestCase):
    def test_holds_what_repeating_a_run_needs(self) -> None:
        found = environment.describe(["atelier", "train", "--run_dir=a b"])
        self.assertEqual(found["command"], "atelier train '--run_dir=a b'")
        self.assertEqual(found["packages"]["tensorflow"], tf.__version__)
        self.assertIn("CPU", [device["kind"] for device in found["devices"]])
        self.assertEqual(json.loads(json.dumps(found)), found)

    def test_holds_no_secrets_of_the_environment(self) -> None:
        with mock.patch.dict("os.environ", {"API_TOKEN": "s3cr3t-of-the-user"}):
            found = json.dumps(environment.describe())
        self.assertNotIn("s3cr3t", found)

    def test_commit_and_changes_of_a_checkout(self) -> None:
        folder = pathlib.Path(self.get_temp_dir())
        outside = {"commit": None, "dirty": None}
        self.assertEqual(environment.source_version(folder), outside)
        self._git(folder, "init", "-q")
        (folder / "a.py").write_text("a = 1\n")
        self._git(folder, "add", "a.py")
        self._git(folder, "commit", "-q", "-m", "a")
        clean = environment.source_version(folder)
        self.assertRegex(clean["commit"], "^[0-9a-f]{40}$")
        self.assertFalse(clean["dirty"])
        (folder / "a.py").write_text("a = 2\n")
        self.assertTrue(environment.source_version(folder)["dirty"])

    def test_folder_inside_a_foreign_checkout_is_not_it(self) -> None:
        folder = pathlib.Path(self.get_temp_dir())
        self._git(folder, "init", "-q")
        (folder / "site-packages").mkdir()
        found = environment.source_version(folder / "site-packages")
        self.assertEqual(found, {"commit": None, "dirty": None})

    def _git(self, folder: pathlib.Path, *arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
        command = ["git", "-C", str(folder), *identity, *arguments]
        subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    tf.test.main()
