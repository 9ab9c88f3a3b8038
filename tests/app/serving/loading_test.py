"""`predict` from an export alone, with the CSV of the run."""

import pathlib
import shutil
from unittest import mock

import pytest
import tensorflow as tf

from app.configs import flags
from app.configs.commands import PredictConfig
from app.serving import loading
from app.serving import predict as prediction
from base.errors import UserError
from tests.app.serving import exported_runs

pytestmark = pytest.mark.export


def predict(output: pathlib.Path, *arguments: str) -> str:
    named = [f"--input={exported_runs.pictures()}", f"--output={output}", *arguments]
    prediction.predict(flags.parse(PredictConfig, named))
    return output.read_text()


class PredictTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())

    def test_the_same_csv_as_from_the_run(self) -> None:
        # A temperature changes probabilities: the fixture's is taken out.
        version = self.folder / "1"
        shutil.copytree(exported_runs.export(), version)
        options = ("--top_k=2", "--batch_size=7")
        uncalibrated = self._export_uncalibrated()
        from_run = predict(
            self.folder / "run.csv", f"--run_dir={exported_runs.run()}", *options
        )
        from_export = predict(
            self.folder / "export.csv", f"--export_dir={uncalibrated}", *options
        )
        self.assertEqual(from_run, from_export)
        self.assertLen(from_run.splitlines(), 61)
        self.assertTrue(from_run.startswith("path,label,probability,label_2"))
        calibrated = predict(
            self.folder / "calibrated.csv", f"--export_dir={version}", *options
        )
        self.assertNotEqual(calibrated, from_run)
        self.assertEqual(self._labels(calibrated), self._labels(from_run))

    def test_the_newest_version_of_a_folder(self) -> None:
        for name in ("2", "10"):
            shutil.copytree(exported_runs.export(), self.folder / "export" / name)
        exported = loading.Exported(self.folder / "export")
        self.assertEqual(exported.path, self.folder / "export" / "10")

    def test_nothing_is_loaded_of_a_damaged_export(self) -> None:
        version = self.folder / "1"
        shutil.copytree(exported_runs.export(), version)
        with open(version / "saved_model.pb", "ab") as file:
            file.write(b"\0")
        with mock.patch.object(tf.saved_model, "load") as load:
            with self.assertRaisesRegex(UserError, "saved_model.pb has changed"):
                predict(self.folder / "x.csv", f"--export_dir={version}")
        load.assert_not_called()

    def _export_uncalibrated(self) -> pathlib.Path:
        """An export of the same run, of which the gate is not asked again."""
        from app.serving import exporting, manifest, runtimes

        config = exported_runs.export_config(
            exported_runs.run(), "--format=saved_model"
        )
        version, work = self.folder / "uncalibrated", self.folder / "work"
        work.mkdir()
        nothing = runtimes.Answered({}, {})
        with mock.patch.object(runtimes, "in_fresh_interpreter", lambda *_: [nothing]):
            run = exporting.open_run(config)
            exporting.build(run, config, version, work)
        manifest.read_verified(version)
        return version

    def _labels(self, csv: str) -> list[str]:
        return [line.split(",")[1] for line in csv.splitlines()]


if __name__ == "__main__":
    tf.test.main()
