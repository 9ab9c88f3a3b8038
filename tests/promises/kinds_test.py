"""Every promise for every task and every feature."""

import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests.promises.cases import CASES
from tests.promises.table import PromisesTestCase

pytestmark = [pytest.mark.export, pytest.mark.cluster]

ROWS = [name for name in CASES if not name.startswith("own")]


class KindsTest(PromisesTestCase, parameterized.TestCase):
    @parameterized.parameters(*ROWS)
    def test_killed_it_ends_with_the_same_bits(self, case: str) -> None:
        self.assert_resumes(case)

    @parameterized.parameters(*ROWS)
    def test_every_example_counts_once(self, case: str) -> None:
        self.assert_counts(case)

    @parameterized.parameters(*ROWS)
    def test_replicas_train_as_one_device_does(self, case: str) -> None:
        self.assert_replicas_agree(case)

    @parameterized.parameters(*ROWS)
    def test_what_serves_is_what_trained(self, case: str) -> None:
        self.assert_serves_what_trained(case)

    @parameterized.parameters(*ROWS)
    def test_under_parameter_servers_a_step_counts_once(self, case: str) -> None:
        self.assert_ledger(case)

    @parameterized.parameters(
        "vector_classification", "vector_regression", "vector_multilabel"
    )
    def test_without_the_optimizer_it_does_not(self, case: str) -> None:
        self.assert_the_optimizer_counts(case)


if __name__ == "__main__":
    tf.test.main()
