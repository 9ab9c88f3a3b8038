"""What `--search` can say, and what it is answered when it makes no sense."""

import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from tuning import space
from tuning.space import Kind

KINDS = {
    "learning_rate": Kind(float),
    "batch_size": Kind(int),
    "optimizer": Kind(str, ("sgd", "adamw")),
    "momentum": Kind(float),
    "nesterov": Kind(bool),
    "clip_norm": Kind(float, optional=True),
    "model_args.depth": Kind(int),
}
REFUSED = {"seed": "is not searched"}


def parsed(*texts: str) -> space.Space:
    return space.parse(texts, KINDS, REFUSED)


class SpaceTest(tf.test.TestCase, parameterized.TestCase):
    def test_choices_have_the_flags_types(self) -> None:
        found = parsed("batch_size=32|64", "nesterov=true|false", "clip_norm=none|1")
        self.assertEqual(found["batch_size"].values, (32, 64))
        self.assertEqual(found["nesterov"].values, (True, False))
        self.assertEqual(found["clip_norm"].values, (None, 1.0))

    def test_a_range_has_ends_a_scale_and_a_step(self) -> None:
        rate = parsed("learning_rate=1e-4..1e-1:log:step=10")["learning_rate"]
        self.assertEqual((rate.low, rate.high, rate.log), (1e-4, 1e-1, True))
        self.assertAllClose(rate.listed(), [1e-4, 1e-3, 1e-2, 1e-1], rtol=1e-6)
        depth = parsed("model_args.depth=2..5")["model_args.depth"]
        self.assertEqual(depth.listed(), (2, 3, 4, 5))
        self.assertIsNone(parsed("momentum=0.5..0.9")["momentum"].listed())

    def test_a_drawn_number_is_short_and_stays_between_the_ends(self) -> None:
        rate = parsed("learning_rate=0.001..0.00123456")["learning_rate"]
        self.assertEqual(rate.tidy(0.001123456789), 0.001123)
        self.assertEqual(rate.tidy(0.00123456), 0.00123456)

    def test_conditions_come_after_what_they_depend_on(self) -> None:
        found = parsed("momentum=0.8..0.99 if optimizer=sgd", "optimizer=sgd|adamw")
        self.assertEqual([d.name for d in found], ["optimizer", "momentum"])
        self.assertTrue(found.is_active(found["momentum"], {"optimizer": "sgd"}))
        self.assertFalse(found.is_active(found["momentum"], {"optimizer": "adamw"}))

    def test_corners_have_values_for_what_is_searched_in_them(self) -> None:
        found = parsed("optimizer=sgd|adamw", "momentum=0.8..0.99 if optimizer=sgd")
        corners = list(found.corners(100))
        self.assertIn({"optimizer": "sgd", "momentum": 0.99}, corners)
        self.assertIn({"optimizer": "adamw"}, corners)

    @parameterized.parameters(
        (("learning_rte=1|2",), "learning_rate"),
        (("seed=1|2",), "is not searched"),
        (("learning_rate=",), "expected values"),
        (("learning_rate",), "expected values"),
        (("learning_rate=1e-1..1e-4",), "LOW below HIGH"),
        (("learning_rate=0.1..0.1",), "LOW below HIGH"),
        (("learning_rate=0..1:log",), "no logarithm of 0"),
        (("learning_rate=0..1:lgo",), ":log"),
        (("learning_rate=0..1:step=0",), "above 0"),
        (("learning_rate=1..2:log:step=1",), "a factor above 1"),
        (("learning_rate=0..inf",), "inf"),
        (("batch_size=32|sixty",), "'sixty'"),
        (("batch_size=1.5..3",), "a whole number"),
        (("batch_size=32",), "--batch_size=32"),
        (("batch_size=32|32",), "twice"),
        (("batch_size=32|64", "batch_size=1..9"), "already"),
        (("optimizer=sgd|adam",), "adamw"),
        (("nesterov=true|maybe",), "true or false"),
        (("momentum=0..1 if optimizer=sgd",), "another flag"),
        (("momentum=0..1 if optimizer=x", "optimizer=sgd|adamw"), "adamw"),
        (("momentum=0..1 if batch_size=9", "batch_size=1..9"), "is a range"),
        (
            (
                "batch_size=1|2 if model_args.depth=1",
                "model_args.depth=1|2 if batch_size=1",
            ),
            "conditions of one another",
        ),
        ((), "--search is missing"),
    )
    def test_nonsense_is_answered_in_one_line(
        self, texts: tuple[str, ...], said: str
    ) -> None:
        with self.assertRaises(UserError) as caught:
            parsed(*texts)
        self.assertIn(said, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))


if __name__ == "__main__":
    tf.test.main()
