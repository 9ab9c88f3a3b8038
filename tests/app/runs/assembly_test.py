"""What cannot be put together is refused before the data is opened."""

import tensorflow as tf

from app.configs import flags
from app.configs.commands import TrainConfig
from app.distribution.cluster import ALONE, Cluster
from app.runs import assembly
from base.errors import UserError

TWO = Cluster(("127.0.0.1:1", "127.0.0.1:2"), 0)
SERVED = Cluster(
    ("127.0.0.1:1", "127.0.0.1:2"), 0, ("127.0.0.1:3",), "127.0.0.1:4", "chief"
)


class OneClockTest(tf.test.TestCase):
    def config(self, every: str) -> TrainConfig:
        given = ("--run_dir=unused", "--dataset=nowhere", f"--evaluate_every={every}")
        return flags.parse(TrainConfig, given)

    def test_workers_do_not_evaluate_by_their_own_clocks(self) -> None:
        with self.assertRaisesRegex(UserError, "--evaluate_every=5m: .*clocks differ"):
            assembly.build_parts(self.config("5m"), TWO)

    def test_one_that_evaluates_alone_does(self) -> None:
        for every, cluster in (("5m", ALONE), ("5m", SERVED), ("20s", TWO)):
            assembly._require_one_clock(self.config(every), cluster)


if __name__ == "__main__":
    tf.test.main()
