"""What is to be best, and which way: told by the run, or by the user, never guessed."""

import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from tuning.objective import Objective, parse

TOLD = {
    "train/loss": "min",
    "validation/loss": "min",
    "validation/f1": "max",
    "validation/oddness": None,
    "validation_night/f1": "max",
    "seconds": "min",
    "learning_rate": None,
}


class ObjectiveTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("auto", "validation/f1", "max"),
        ("f1", "validation/f1", "max"),
        ("loss", "validation/loss", "min"),
        ("train/loss", "train/loss", "min"),
        ("validation_night/f1", "validation_night/f1", "max"),
        ("seconds", "seconds", "min"),
        ("oddness:min", "validation/oddness", "min"),
        ("learning_rate:max", "learning_rate", "max"),
        ("f1:min", "validation/f1", "min"),
    )
    def test_directions_are_those_that_the_run_tells(
        self, text: str, tag: str, direction: str
    ) -> None:
        self.assertEqual(parse(text, TOLD, "validation/f1"), Objective(tag, direction))

    @parameterized.parameters(
        ("oddness", "validation/oddness:max or validation/oddness:min"),
        ("learning_rate", "learning_rate:max or"),
        ("f1:up", "validation/f1:max or"),
        ("f1:", "validation/f1:max or"),
        ("accuracy", "unknown --objective: metric 'accuracy'"),
        ("validation/fl", "did you mean 'validation/f1'"),
    )
    def test_what_is_not_known_is_refused(self, text: str, said: str) -> None:
        with self.assertRaisesRegex(UserError, said):
            parse(text, TOLD, "validation/f1")

    def test_a_name_alone_tells_no_direction(self) -> None:
        """Of a metric that is called accuracy, and of which less is better."""
        told = {"validation/accuracy": "min"}
        self.assertEqual(parse("accuracy", told, "").direction, "min")
        with self.assertRaisesRegex(UserError, "direction"):
            parse("accuracy", {"validation/accuracy": None}, "")


if __name__ == "__main__":
    tf.test.main()
