"""A C program on TensorFlow's C API answers the golden inputs as training did."""

import functools
import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from app.serving import golden, manifest, parity
from app.serving.signatures import Contract
from tests.app.serving import exported_runs

pytestmark = [pytest.mark.process, pytest.mark.export]

SOURCE = pathlib.Path(__file__).with_name("c_program.c")
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
WHEEL = pathlib.Path(tf.__file__).parent


@functools.cache
def build() -> pathlib.Path:
    """The program, compiled against the installed wheel: seconds, for its symbols."""
    program = exported_runs.folder() / "c_program"
    libraries = sorted(WHEEL.glob("libtensorflow_cc.so.*"))[:1]
    libraries += sorted(WHEEL.glob("libtensorflow_framework.so.*"))[:1]
    subprocess.run(
        [
            str(COMPILER),
            "-std=c11",
            "-Wall",
            "-Werror",
            f"-I{WHEEL / 'include'}",
            str(SOURCE),
            *map(str, libraries),
            f"-Wl,-rpath,{WHEEL}",
            "-o",
            str(program),
        ],
        check=True,
    )
    return program


def contract_of(version: pathlib.Path) -> Contract:
    """What the export says of itself."""
    return manifest.contract_of(json.loads((version / "export.json").read_text()))


def tensor_names(version: pathlib.Path) -> list[str]:
    """OPERATION:INDEX of the input that takes files, probabilities and label."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((version / "saved_model.pb").read_bytes())
    contract = contract_of(version)
    assert contract.input.encoded is not None
    name, given = contract.input.encoded
    signature = saved.meta_graphs[0].signature_def[name]
    tensors = (
        signature.inputs[given],
        signature.outputs["probabilities"],
        signature.outputs["label"],
    )
    return [tensor.name for tensor in tensors]


class CProgramTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        if COMPILER is None:
            self.skipTest("there is no C compiler on the path")
        self.program = build()

    def answer(
        self, version: pathlib.Path, *files: pathlib.Path
    ) -> subprocess.CompletedProcess[str]:
        command = [self.program, version, *tensor_names(version), *files]
        return subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            env={"TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )

    def test_golden_pictures(self) -> None:
        self.assert_golden(exported_runs.export())

    def test_golden_rows(self) -> None:
        self.assert_golden(exported_runs.table_export())

    def assert_golden(self, version: pathlib.Path) -> None:
        folder = version / golden.FOLDER
        with np.load(folder / golden.ARRAYS, allow_pickle=False) as arrays:
            names = tuple(arrays["names"].tolist())
            answers = {
                key.removeprefix("answer_"): arrays[key]
                for key in arrays.files
                if key.startswith("answer_")
            }
        ran = self.answer(version, *(folder / name for name in names))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        lines = [line.split("\t") for line in ran.stdout.splitlines()]
        probabilities = np.array([line[1].split() for line in lines], np.float32)
        found = {
            "probabilities": probabilities,
            "class_id": probabilities.argmax(1),
            "label": np.array([line[0] for line in lines]),
        }
        expected = golden.Golden(names, (), {}, answers)
        contract = contract_of(version)
        measured = parity.measure(
            "C", "float32", expected, found, contract.task, contract.names
        )
        parity.require([measured])

    def test_what_is_no_image_is_named(self) -> None:
        path = pathlib.Path(self.get_temp_dir(), "notes.txt")
        path.write_text("not an image")
        ran = self.answer(exported_runs.export(), path)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("image_bytes[0] is not a JPEG, PNG, BMP or GIF", ran.stderr)
        self.assertEqual(ran.stdout, "")


if __name__ == "__main__":
    tf.test.main()
