"""Data and models in memory: taken over, told apart, and refused where they are not."""

import contextlib
import io
import json
import pathlib
import re
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import sklearn.datasets
import tensorflow as tf
from absl.testing import parameterized

import atelier
from app.main import main
from atelier import own_data, own_models
from models import mlp
from models.architectures import MLPConfig
from tests.atelier.process_test import interrupted_at_the_first_segment, weights
from tests.pipelines.sources.table_test import write_passengers

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 256,
    "progress": "quiet",
    "figures": False,
}
MLP = {"model": "mlp", "model_args": "width=16,depth=1"}


def small(inputs: Any, outputs: Any, width: int = 16) -> keras.Model:
    """A model that anyone finds by its name."""
    return mlp.build(MLPConfig(width=width, depth=1), inputs, outputs)


class ArraysTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())
        digits = sklearn.datasets.load_digits()
        self.x = (digits.images * 15).astype(np.uint8)
        self.y = digits.target

    def train(self, name: str, **flags: Any) -> atelier.Run:
        with contextlib.redirect_stdout(io.StringIO()):
            return atelier.train(run_dir=self.root / name, **{**QUICK, **flags})

    def test_arrays_train_as_a_file_of_them_does(self) -> None:
        path = self.root / "digits.npz"
        np.savez(path, x_train=self.x, y_train=self.y)
        of_file = self.train("file", dataset=path, **MLP)
        of_arrays = self.train("arrays", dataset=(self.x, self.y), **MLP)
        self.assertEqual(weights(of_arrays.path), weights(of_file.path))
        name = of_arrays.flags["dataset"]
        self.assertRegex(name, r"^python:arrays-[0-9a-f]{16}$")
        environment = json.loads((of_arrays.path / "environment.json").read_text())
        found = environment["given"][name]["sha256"]
        self.assertTrue(found.startswith(name.partition("-")[2]))

    def test_pairs_and_names_are_the_same_arrays(self) -> None:
        x, y, u, v = self.x[:9], self.y[:9], self.x[9:19], self.y[9:19]
        names = {"x_train": x, "y_train": y, "x_test": u, "y_test": v}
        given = [(x, y, u, v), ((x, y), (u, v)), names, dict(reversed(names.items()))]
        self.assertLen({own_data.hand_over(one).name for one in given}, 1)
        other = own_data.hand_over((x, y + 1, u, v)).name
        self.assertNotEqual(other, own_data.hand_over(given[0]).name)
        turned = own_data.hand_over((x.astype(np.int16), y, u, v)).name
        self.assertNotEqual(turned, own_data.hand_over(given[0]).name)

    @parameterized.parameters(
        ({"x_train": np.zeros((3, 2))}, "has x_train without y_train"),
        ((np.zeros((3, 8, 8)), np.zeros(3, np.int64)), "expected images as uint8"),
        ((np.zeros((3, 2)), np.zeros(2, np.int64)), "3 examples and 2 targets"),
        ((np.float32(1), np.float32(1)), "a single value"),
        ((np.array([{}]), np.array([1])), "Python objects"),
    )
    def test_arrays_that_do_not_fit_are_named(self, given: Any, said: str) -> None:
        with self.assertRaisesRegex(atelier.UserError, said):
            self.train("run", dataset=given, **MLP)
        self.assertFalse((self.root / "run").exists())

    def test_a_table_s_flags_are_refused_beside_arrays(self) -> None:
        with self.assertRaisesRegex(atelier.UserError, "--target=y: the dataset is"):
            self.train("run", dataset=(self.x, self.y), target="y", **MLP)

    def test_the_same_call_resumes_and_other_arrays_do_not(self) -> None:
        given = {"dataset": (self.x, self.y), **MLP}
        whole = self.train("whole", **given)
        with interrupted_at_the_first_segment():
            self.assertEqual(self.train("run", **given).state, "interrupted")
        with self.assertRaisesRegex(atelier.UserError, "made with other flags"):
            self.train("run", **{**given, "dataset": (self.x, 9 - self.y)})
        self.assertEqual(weights(self.train("run", **given).path), weights(whole.path))

    def test_the_command_says_what_it_lacks_and_does_the_rest(self) -> None:
        run = self.train("run", dataset=(self.x, self.y), stop_after=1, **MLP)
        for command in (
            ["train", f"--flagfile={run.path / 'flags.txt'}", *_arguments(QUICK)],
            ["evaluate"],
        ):
            status, said = command_line(*command, f"--run_dir={run.path}")
            self.assertEqual(status, 2)
            self.assertRegex(
                said, r"^atelier: --dataset=python:arrays-\w+ stands for .*\n$"
            )
        path = self.root / "others.npz"
        np.savez(path, x_train=self.x[:50], y_train=self.y[:50])
        other = [f"--dataset={path}", f"--run_dir={run.path}"]
        self.assertEqual(command_line("evaluate", *other)[0], 0)

    def test_a_run_that_is_opened_wants_its_data_back(self) -> None:
        run = self.train("run", dataset=(self.x, self.y), **MLP)
        found = run.evaluate()
        opened = atelier.open(run.path)
        self.assertEqual(opened.results["weights_sha256"], weights(run.path))
        with self.assertRaisesRegex(atelier.UserError, "atelier.open with the same"):
            opened.evaluate()
        again = atelier.open(run.path, dataset=(self.x, self.y)).evaluate()
        self.assertEqual(again, found)
        with self.assertRaisesRegex(atelier.UserError, "was made with python:arrays"):
            atelier.open(run.path, dataset=(self.x, 9 - self.y))


class TableTest(tf.test.TestCase):
    def test_a_table_trains_as_its_file_does(self) -> None:
        root = pathlib.Path(self.get_temp_dir())
        paths = write_passengers(root)
        table = pa.parquet.read_table(paths[".parquet"])
        given = {**QUICK, "model": "mlp", "target": "survived", "batch_size": 8}
        given["split"] = (0.6, 0.2, 0.2)
        found = {}
        with contextlib.redirect_stdout(io.StringIO()):
            for name, dataset in {
                "file": paths[".parquet"],
                "table": table,
                "stream": Streams(table),
            }.items():
                found[name] = atelier.train(
                    dataset=dataset, run_dir=root / name, **given
                )
        self.assertLen({weights(run.path) for run in found.values()}, 1)
        self.assertRegex(found["table"].flags["dataset"], "^python:table-")
        self.assertEqual(
            found["table"].flags,
            {**found["stream"].flags} | {"run_dir": str(root / "table")},
        )
        rows = table.drop_columns(["survived"])
        answers = found["stream"].predict(rows)
        self.assertAllEqual(
            answers["label"], found["file"].predict(paths[".csv"])["label"]
        )
        self.assertLen(answers["probabilities"], table.num_rows)
        with self.assertRaisesRegex(atelier.UserError, "no column"):
            found["file"].predict(rows.drop_columns([rows.column_names[0]]))
        with self.assertRaisesRegex(atelier.UserError, "trained on a table"):
            found["file"].predict(np.zeros((2, 3)))


class Streams:
    """What pandas and others are to Arrow: something that gives itself as a stream."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def sequential() -> keras.Sequential:
    """As a cell of a notebook makes it, again and again: with other names each time."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(16, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )


def functional() -> keras.Model:
    """Two branches that share a layer, and a model within the model."""
    inputs = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(inputs)
    shared = keras.layers.Dense(16, "relu")
    inner = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
    both = keras.layers.Add()([shared(flat), inner(shared(flat / 2.0))])
    return keras.Model(inputs, keras.layers.Dense(10)(both))


class Own(keras.layers.Layer):
    """A layer of the user's own, which is not registered anywhere."""

    def __init__(self, units: int, **more: Any) -> None:
        super().__init__(**more)
        self.units = units
        self.dense = keras.layers.Dense(units)

    def build(self, shape: Any) -> None:
        self.dense.build(shape)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def with_own_layer() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, Own(10)(keras.layers.Flatten()(inputs)))


class Subclassed(keras.Model):
    """A subclassed model, which nothing can make again."""

    def __init__(self, extra: Any) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(10)

    def call(self, inputs: Any) -> Any:
        return self.dense(keras.ops.reshape(inputs, (-1, 64)))


class ModelsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())

    def train(self, name: str, **flags: Any) -> atelier.Run:
        with contextlib.redirect_stdout(io.StringIO()):
            return atelier.train(run_dir=self.root / name, **{**QUICK, **flags})

    @parameterized.parameters(sequential, functional, with_own_layer)
    def test_a_keras_model_is_told_by_its_architecture(self, make: Any) -> None:
        first, second = make(), make()
        self.assertNotEqual(first.layers[-1].name, second.layers[-1].name)
        names = {own_models.hand_over(one).name for one in (first, second)}
        self.assertLen(names, 1)
        self.assertRegex(names.pop(), "^python:keras-")

    @parameterized.parameters(sequential, functional, with_own_layer)
    def test_it_is_made_again_with_its_weights(self, make: Any) -> None:
        given = make()
        made = own_models.hand_over(given).value(None, None)
        self.assertIsNot(made, given)
        images = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 1))
        self.assertAllEqual(
            made.predict(images, verbose=0), given.predict(images, verbose=0)
        )
        weights = given.get_weights()
        made.set_weights([weight + 1 for weight in weights])
        for mine, theirs in zip(given.get_weights(), weights, strict=True):
            self.assertAllEqual(mine, theirs)

    def test_other_architectures_have_other_names(self) -> None:
        one = sequential()
        other = keras.Sequential([*one.layers[:-1], keras.layers.Dense(10, "relu")])
        self.assertNotEqual(
            own_models.hand_over(one).name, own_models.hand_over(other).name
        )

    def test_the_same_cell_again_resumes_though_its_model_is_new(self) -> None:
        keras.utils.set_random_seed(1)
        whole = self.train("whole", model=sequential())
        keras.utils.set_random_seed(1)
        with interrupted_at_the_first_segment():
            paused = self.train("run", model=sequential())
        self.assertEqual(paused.state, "interrupted")
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            again = self.train("run", model=sequential())
        self.assertIn("its weights are others than those", told.getvalue())
        self.assertEqual(weights(again.path), weights(whole.path))
        with self.assertRaisesRegex(atelier.UserError, "made with other flags"):
            self.train("run", model=functional())

    def test_its_weights_are_where_the_training_begins(self) -> None:
        model = sequential()
        one = self.train("one", model=model)
        moved = [weight * 1.5 for weight in model.get_weights()]
        same = self.train("same", model=model)
        self.assertEqual(weights(one.path), weights(same.path))
        model.set_weights(moved)
        self.assertNotEqual(
            weights(self.train("moved", model=model).path), weights(one.path)
        )

    def test_it_is_said_that_compile_is_not_used(self) -> None:
        model = sequential()
        model.compile("sgd", "mse")
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            compiled = self.train("compiled", model=model)
        self.assertIn("what it was compiled with", told.getvalue())
        plain = keras.models.clone_model(sequential())
        plain.set_weights(model.get_weights())
        self.assertEqual(
            weights(compiled.path), weights(self.train("plain", model=plain).path)
        )
        self.assertFalse(compiled.model.compiled)

    def test_a_precision_that_its_layers_do_not_have_is_refused(self) -> None:
        for precision in ("mixed_bfloat16", "auto"):
            with self.assertRaisesRegex(atelier.UserError, "are in float32, and keep"):
                self.train("run", model=sequential(), precision=precision)

    def test_a_model_that_cannot_be_made_again_is_refused(self) -> None:
        with self.assertRaisesRegex(atelier.UserError, "give a function"):
            self.train("run", model=Subclassed("extra"))
        self.assertFalse((self.root / "run").exists())

    def test_a_function_with_a_name_is_what_the_command_calls_it(self) -> None:
        run = self.train("run", model=small, model_args={"width": 8})
        self.assertEqual(run.flags["model"], f"{__name__}:small")
        arguments = _arguments({**QUICK, "model": f"{__name__}:small"})
        other = f"--run_dir={self.root / 'command'}"
        status, said = command_line("train", other, "--model_args=width=8", *arguments)
        self.assertEqual(status, 0, said)
        self.assertEqual(weights(self.root / "command"), weights(run.path))

    def test_a_function_without_one_trains_the_same_and_stays_in_python(self) -> None:
        def local(inputs: Any, outputs: Any, width: int = 16) -> keras.Model:
            return small(inputs, outputs, width)

        named = self.train("named", model=small, model_args="width=8")
        run = self.train("run", model=local, model_args="width=8")
        self.assertEqual(weights(run.path), weights(named.path))
        self.assertRegex(run.flags["model"], "^python:local-")
        status, said = command_line("evaluate", f"--run_dir={run.path}")
        self.assertEqual(status, 2)
        self.assertRegex(said, "^atelier: --model=python:local-")
        opened = atelier.open(run.path, model=local)
        self.assertEqual(opened.evaluate()["examples"], 180)

    @pytest.mark.export
    def test_a_run_of_a_keras_model_is_exported_from_python(self) -> None:
        run = self.train("run", model=sequential())
        version = run.export()
        self.assertEqual(version, run.path / "export" / "1")
        status, said = command_line("export", f"--run_dir={run.path}")
        self.assertEqual(status, 2)
        self.assertRegex(said, "^atelier: --model=python:keras-")


def _arguments(flags: dict[str, Any]) -> list[str]:
    return [
        f"--{'' if value else 'no'}{name}"
        if isinstance(value, bool)
        else f"--{name}={value}"
        for name, value in flags.items()
    ]


def command_line(*arguments: str) -> tuple[int, str]:
    """The status of a command that is run in this process, and what it complained."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = main(list(arguments))
    return status, re.sub(r"^(W|I|E)\d{4}.*\n", "", said.getvalue(), flags=re.M)


if __name__ == "__main__":
    tf.test.main()
