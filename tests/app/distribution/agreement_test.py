"""Workers part when all have come, and not before."""

from collections.abc import Sequence
from unittest import mock

import tensorflow as tf

from app.distribution import process_exit
from app.distribution.agreement import Agreement
from app.distribution.cluster import ALONE

_GONE = tf.errors.UnavailableError(None, None, "Socket closed")


class AgreementTest(tf.test.TestCase):
    def _part(self, answers: Sequence[object]) -> int:
        """Parts while each question is answered so; how many were asked."""
        agreement = Agreement(tf.distribute.get_strategy(), ALONE)
        with mock.patch.object(agreement, "all_of", side_effect=answers) as asked:
            agreement.part()
        return asked.call_count

    def test_one_that_left_because_all_had_come_is_not_missed(self) -> None:
        with mock.patch.object(process_exit, "take_nothing_down") as at_once:
            self.assertEqual(self._part([[0, 0], _GONE]), 2)
            at_once.assert_called_once()
            self.assertEqual(self._part([[0, 0], [0, 0]]), 2)
            at_once.assert_called_once()

    def test_one_that_never_came_is_missed(self) -> None:
        with self.assertRaises(tf.errors.UnavailableError):
            self._part([_GONE])

    def test_other_failures_are_heard(self) -> None:
        with self.assertRaises(ValueError):
            self._part([[0, 0], ValueError("of another kind")])


if __name__ == "__main__":
    tf.test.main()
