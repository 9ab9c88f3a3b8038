"""Flags: declared once as fields, read from a command line, written to repeat it."""

import dataclasses

import tensorflow as tf
from absl.testing import parameterized

from app.configs import flags
from app.configs.commands import EvaluateConfig, PredictConfig, TrainConfig
from app.configs.training import Interval
from base.errors import UserError


class FlagsTest(tf.test.TestCase, parameterized.TestCase):
    def parse(self, *arguments: str) -> TrainConfig:
        return flags.parse(TrainConfig, ["--run_dir=r", *arguments])

    def test_fields_are_flags_of_their_own_type(self) -> None:
        config = self.parse(
            "--batch_size=32", "--epochs=0.5", "--eager", "--clip_norm=2"
        )
        self.assertEqual(config.data.batch_size, 32)
        self.assertEqual(config.training.epochs, 0.5)
        self.assertTrue(config.training.eager)
        self.assertEqual(config.optimizer.clip_norm, 2.0)
        self.assertFalse(self.parse("--noeager").training.eager)

    def test_the_text_of_a_configuration_gives_it_again(self) -> None:
        config = self.parse(
            "--epochs=0.1",
            "--augment=flip",
            "--optimizer=sgd",
            "--nesterov",
            "--ema=0.9",
            "--evaluate_every=100s",
            "--checkpoint_every=0.3333333333333333",
        )
        path = self.create_tempfile_with(flags.to_text(config))
        self.assertEqual(flags.parse(TrainConfig, [f"--flagfile={path}"]), config)

    def test_a_later_flag_overrules_a_flagfile(self) -> None:
        path = self.create_tempfile_with("# a recipe\n--epochs=3\n--seed=5\n")
        config = self.parse(f"--flagfile={path}", "--epochs=4")
        self.assertEqual(config.training.epochs, 4)
        self.assertEqual(config.training.seed, 5)

    @parameterized.parameters(
        ("--bach_size=3", "bach_size.*batch_size"),
        ("--batch_size=many", "--batch_size=many"),
        ("--batch_size=0", "--batch_size=0"),
        ("--epochs=-1", "--epochs=-1"),
        ("--schedule=cosin", "schedule"),
        ("--checkpoint_every=often", "^--checkpoint_every=often: expected a positive"),
        ("--evaluate_every=0", "^--evaluate_every=0: expected a positive"),
        ("--evaluate_every=1.5s", "--evaluate_every=1.5s"),
        ("--split=0.8,0.3,0.1", "--split=0.8,0.3,0.1"),
        ("--sync_batch_norm --recompute", "--recompute"),
        ("stray", "stray"),
        ("--flagfile=/no/such/file", "/no/such/file"),
    )
    def test_a_mistake_is_one_line_that_names_it(self, text, named) -> None:
        with self.assertRaisesRegex(UserError, named) as caught:
            self.parse(*text.split())
        self.assertNotIn("\n", str(caught.exception))

    def test_an_interval_is_the_same_however_it_was_written(self) -> None:
        for text in ("1", "1.0", "1e0"):
            self.assertEqual(self.parse(f"--evaluate_every={text}"), self.parse())
        values = flags.to_values(self.parse("--evaluate_every=5m"))
        self.assertEqual(values["evaluate_every"], "5m")
        self.assertEqual(values["checkpoint_every"], "1")
        made = flags.from_values(TrainConfig, values | {"evaluate_every": 0.5})
        self.assertEqual(made.training.evaluate_every, Interval(0.5))

    def test_a_missing_run_dir_is_a_mistake(self) -> None:
        with self.assertRaisesRegex(UserError, "--run_dir is missing"):
            flags.parse(TrainConfig, [])

    @parameterized.parameters(TrainConfig, EvaluateConfig, PredictConfig)
    def test_every_flag_is_documented_and_declared_once(self, config_class) -> None:
        names = [
            field.name
            for _, group in flags.groups(config_class)
            for field in dataclasses.fields(group)
        ]
        self.assertLen(set(names), len(names))
        text = flags.help_text(config_class)
        for name in names:
            self.assertIn(name, text)

    def create_tempfile_with(self, text: str) -> str:
        path = f"{self.get_temp_dir()}/flags.txt"
        with open(path, "w") as file:
            file.write(text)
        return path


if __name__ == "__main__":
    tf.test.main()
