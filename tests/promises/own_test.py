"""Every promise for every part of the user's own."""

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests.processes import outcome
from tests.promises.cases import CASES
from tests.promises.table import QUICK, PromisesTestCase

pytestmark = [pytest.mark.export, pytest.mark.cluster]

ROWS = [name for name in CASES if name.startswith("own")]


class OwnTest(PromisesTestCase, parameterized.TestCase):
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

    def test_without_the_optimizer_an_own_task_does_not(self) -> None:
        self.assert_the_optimizer_counts("own_task")

    def test_an_augmentation_without_its_keys_does_not(self) -> None:
        run = "keyless"
        self.train("own_augmentation", run, prepare=draw_keys_anew)
        self.assertNotEqual(
            outcome(self.root / run)["weights_sha256"],
            self.whole("own_augmentation")["weights_sha256"],
        )

    def test_a_source_that_gives_other_data_does_not_resume(self) -> None:
        case, run = "own_source", "other-data"
        flags = (f"--run_dir={run}", *QUICK, *CASES[case].flags)
        self.run_to(75, "train", *flags, "--stop_after=1")
        with np.load(self.root / "classes.npz") as arrays:
            before = dict(arrays)
        try:
            changed = before | {"x_train": before["x_train"] + 1}
            np.savez(self.root / "classes.npz", **changed)
            said = self.run_to(2, "train", *flags)
        finally:
            np.savez(self.root / "classes.npz", **before)
        self.assertIn("--dataset=models:Blobs: the train split has changed", said)


def draw_keys_anew() -> None:
    """Has the keys of augmentations be of this process alone."""
    import secrets

    from pipelines import randomness

    keys = randomness.keys
    own = secrets.randbits(32)
    randomness.keys = lambda seed, positions, draw: keys(own, positions, draw)


if __name__ == "__main__":
    tf.test.main()
