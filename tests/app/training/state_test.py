"""What a checkpoint holds, by name."""

import tensorflow as tf

from app.configs import flags
from app.configs.commands import TrainConfig
from app.runs import assembly
from app.training.state import TrainState


class OnePlayerTest(tf.test.TestCase):
    def test_its_names_in_checkpoints_are_those_that_they_always_were(self) -> None:
        given = ["--run_dir=unused", "--model=linear", "--ema=0.9", "--optimizer=sgd"]
        parts = assembly.build_parts(flags.parse(TrainConfig, given))
        (player,) = parts.algorithm.players
        state = TrainState(parts.network.model, [player], sums=3)
        self.assertEqual(list(state.arrays()), NAMES)


NAMES = [
    "model/0000/linear/logits/kernel",
    "model/0001/linear/logits/bias",
    "average/model/0000/linear/logits/kernel",
    "average/model/0001/linear/logits/bias",
    "optimizer/0000/sgd/iteration",
    "optimizer/0001/sgd/linear_logits_kernel_momentum",
    "optimizer/0002/sgd/linear_logits_bias_momentum",
    "sums",
]


if __name__ == "__main__":
    tf.test.main()
