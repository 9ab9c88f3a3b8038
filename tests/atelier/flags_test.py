"""Keyword arguments are the flags: names, defaults, values and mistakes."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

import atelier
from app.configs import flags, keywords
from app.configs.commands import EvaluateConfig, ExportConfig, TrainConfig
from tests.structure.light_imports_test import heavy_after

ALL = [
    field
    for config in (TrainConfig, EvaluateConfig, ExportConfig)
    for _, group in flags.groups(config)
    for field in dataclasses.fields(group)
]


class FlagsTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_flag_is_accepted_with_the_default_of_the_command(self) -> None:
        for config in (TrainConfig, EvaluateConfig, ExportConfig):
            wanted = flags.parse(config, ["--run_dir=run"])
            self.assertEqual(keywords.parse(config, {"run_dir": "run"}), wanted)
            for name, value in flags.to_values(wanted).items():
                found = keywords.parse(config, {"run_dir": "run", name: value})
                self.assertEqual(found, wanted, name)
        self.assertGreater(len(ALL), 50)

    def test_every_flag_refuses_what_the_command_refuses(self) -> None:
        refused = 0
        for field in dataclasses.fields(TrainConfig):
            (group,) = (g for n, g in flags.groups(TrainConfig) if n == field.name)
            for flag in dataclasses.fields(group):
                for wrong in ("-1", "wrong", "nan"):
                    by_command = _mistake(flags.parse, [f"--{flag.name}={wrong}"])
                    self.assertEqual(
                        _mistake(keywords.parse, {flag.name: wrong}), by_command
                    )
                    refused += by_command is not None
        self.assertGreater(refused, 50)

    def test_a_misspelt_flag_is_answered_with_the_closest(self) -> None:
        for name in flags.to_values(flags.parse(TrainConfig, ["--run_dir=run"])):
            with self.assertRaisesRegex(atelier.UserError, "unknown flag"):
                atelier.train(**{"run_dir": "run", f"{name}_": "1"})
        with self.assertRaisesRegex(atelier.UserError, "did you mean 'epochs'"):
            atelier.train(run_dir="run", epoch=3)
        with self.assertRaisesRegex(atelier.UserError, "did you mean 'again'"):
            atelier.Run(pathlib.Path("run")).evaluate(agains=True)
        with self.assertRaisesRegex(atelier.UserError, "did you mean 'calibrate'"):
            atelier.Run(pathlib.Path("run")).export(calibrated=True)

    @parameterized.parameters(
        ({"image_size": (32, 48)}, "--image_size=32,48"),
        ({"split": [0.5, 0.25, 0.25]}, "--split=0.5,0.25,0.25"),
        ({"model_args": {"width": 16, "identity_init": True}}, None),
        ({"epochs": np.float64(3)}, "--epochs=3.0"),
        ({"batch_size": np.int64(7)}, "--batch_size=7"),
        ({"eager": True}, "--eager"),
        ({"figures": False}, "--nofigures"),
        ({"data_dir": pathlib.Path("/data")}, "--data_dir=/data"),
        ({"target": None}, "--batch_size=128"),
    )
    def test_values_of_python_are_those_of_the_command(
        self, given: dict[str, Any], argument: str | None
    ) -> None:
        argument = argument or "--model_args=width=16,identity_init=true"
        self.assertEqual(
            keywords.parse(TrainConfig, {"run_dir": "run", **given}),
            flags.parse(TrainConfig, ["--run_dir=run", argument]),
        )

    def test_a_flagfile_counts_less_than_what_is_said_beside_it(self) -> None:
        recipe = pathlib.Path(self.get_temp_dir()) / "recipe.flags"
        recipe.write_text("--epochs=7\n--seed=3\n")
        given = {"epochs": 2, "flagfile": recipe, "run_dir": "run"}
        found = keywords.parse(TrainConfig, given).training
        self.assertEqual((found.epochs, found.seed), (2, 3))

    @parameterized.parameters(
        ({"epochs": object()}, "epochs: received a object"),
        ({"epochs": True}, "--epochs=true"),
        ({"batch_size": 3.5}, "--batch_size=3.5"),
        ({"dataset": 7}, "dataset: received a int; expected a name or path"),
        ({"dataset": (1, 2, 3)}, "dataset: received 3 arrays"),
        ({"model": 7}, "model: received a int"),
    )
    def test_a_value_that_is_none_is_refused(self, given: dict, said: str) -> None:
        with self.assertRaisesRegex(atelier.UserError, said):
            atelier.train(run_dir="run", **given)
        self.assertFalse(pathlib.Path("run").exists())

    def test_a_missing_run_dir_is_the_command_s_mistake(self) -> None:
        with self.assertRaisesRegex(atelier.UserError, "--run_dir is missing"):
            atelier.train()


class ImportTest(tf.test.TestCase):
    @pytest.mark.process
    def test_importing_atelier_loads_nothing_heavy(self) -> None:
        self.assertEqual(heavy_after("import atelier; atelier.train"), "[]")


def _mistake(parse: Any, given: Any) -> str | None:
    """What is said of flags beside `--run_dir`; None where they are fit."""
    if isinstance(given, dict):
        given = {"run_dir": "run", **given}
    else:
        given = ["--run_dir=run", *given]
    try:
        parse(TrainConfig, given)
    except atelier.UserError as error:
        return str(error)
    return None


if __name__ == "__main__":
    tf.test.main()
