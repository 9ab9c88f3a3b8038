"""Boundaries: every one is met once, in whatever unit it is given."""

import tensorflow as tf
from absl.testing import parameterized

from app.configs.training import Interval
from app.training.boundaries import Boundaries, step_of_epoch
from base.errors import UserError


def met(boundaries: Boundaries, last_step: int) -> list[int]:
    """The boundaries that a loop comes by when it goes from one to the next."""
    steps, step = [], 0
    while step < last_step:
        step = boundaries.next_after(step)
        steps.append(step)
    return steps


class BoundariesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("1", 10.0, 30, [10, 20, 30]),
        ("1", 7.5, 30, [8, 15, 23, 30]),
        ("0.5", 5.0, 10, [3, 5, 8, 10]),
        ("0.1", 11.23, 12, [2, 3, 4, 5, 6, 7, 8, 9, 11, 12]),
        ("4s", 7.5, 10, [4, 8, 10]),
        ("5m", 7.5, 10, [10]),
        ("0.1", 0.5, 3, [1, 2, 3]),
    )
    def test_next_after_meets_each_boundary_once(
        self, text, per_epoch, last, expected
    ) -> None:
        boundaries = Boundaries(Interval.parse("x", text), per_epoch, last)
        self.assertEqual(met(boundaries, last), expected)

    @parameterized.parameters(("1", 7.5), ("0.3", 11.23), ("3s", 7.5))
    def test_is_due_exactly_at_the_boundaries(self, text, per_epoch) -> None:
        boundaries = Boundaries(Interval.parse("x", text), per_epoch, 40)
        due = [step for step in range(1, 41) if boundaries.is_due(step)]
        self.assertEqual(due, met(boundaries, 40))

    def test_minutes_are_due_when_they_have_passed(self) -> None:
        boundaries = Boundaries(Interval.parse("x", "0.0001m"), 10.0, 100)
        tf.test.TestCase.assertFalse(
            self, Boundaries(Interval.parse("x", "9m"), 10.0, 100).is_due(5)
        )
        while not boundaries.is_due(5):
            pass
        self.assertTrue(boundaries.is_due(100))

    def test_an_epoch_ends_when_its_last_example_was_seen(self) -> None:
        self.assertEqual(step_of_epoch(1, 1437 / 128), 12)
        self.assertEqual(step_of_epoch(3, 10.0), 30)
        self.assertEqual(step_of_epoch(0.3, 10.0), 3)

    @parameterized.parameters("0", "-1", "x", "", "1.5s", "nan", "inf", "s")
    def test_an_interval_that_is_none_is_refused(self, text) -> None:
        with self.assertRaisesRegex(UserError, "--checkpoint_every"):
            Interval.parse("checkpoint_every", text)


if __name__ == "__main__":
    tf.test.main()
