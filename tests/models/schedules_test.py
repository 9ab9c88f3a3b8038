"""Schedules at the steps that matter, saved and loaded."""

import keras
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import schedules
from models.config import OptimizerConfig


class SchedulesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("constant", {"schedule": "constant"}, {0: 1.0, 99: 1.0, 1000: 1.0}),
        ("cosine", {}, {0: 1.0, 50: 0.5, 100: 0.0, 200: 0.0}),
        (
            "cosine_to_a_rate",
            {"final_learning_rate": 0.1},
            {0: 1.0, 50: 0.55, 100: 0.1},
        ),
        (
            "cosine_after_warmup",
            {"warmup_epochs": 2.0},
            {0: 1 / 21, 9: 10 / 21, 19: 20 / 21, 20: 1.0, 60: 0.5, 100: 0.0},
        ),
        (
            "step",
            {"schedule": "step", "decay_epochs": 3.0, "decay_rate": 0.1},
            {0: 1.0, 29: 1.0, 30: 0.1, 59: 0.1, 60: 0.01},
        ),
        ("step_by_thirds", {"schedule": "step"}, {32: 1.0, 33: 0.1, 66: 0.01}),
        (
            "step_after_warmup",
            {"schedule": "step", "decay_epochs": 3.0, "warmup_epochs": 1.0},
            {0: 1 / 11, 10: 1.0, 39: 1.0, 40: 0.1},
        ),
        (
            "exponential",
            {"schedule": "exponential", "decay_epochs": 1.0, "decay_rate": 0.25},
            {0: 1.0, 5: 0.5, 10: 0.25},
        ),
        (
            "triangular",
            {"schedule": "triangular", "warmup_epochs": 2.0},
            {0: 1 / 21, 9: 10 / 21, 20: 1.0, 60: 0.5, 100: 0.0, 150: 0.0},
        ),
        (
            "triangular_to_a_rate",
            {"schedule": "triangular", "final_learning_rate": 0.2},
            {0: 1.0, 50: 0.6, 100: 0.2},
        ),
        (
            "one_cycle",
            {"schedule": "one_cycle", "final_learning_rate": 0.01},
            {0: 0.1, 45: 1.0, 90: 0.1, 95: 0.055, 100: 0.01, 150: 0.01},
        ),
    )
    def test_rates(self, options: dict, rates: dict[int, float]) -> None:
        config = OptimizerConfig(**{"learning_rate": 1.0, **options})
        schedule = schedules.build(config, steps_per_epoch=10.0, total_steps=100)
        restored = keras.optimizers.schedules.deserialize(
            keras.optimizers.schedules.serialize(schedule)
        )
        for step, rate in rates.items():
            for made in (schedule, restored):
                result = tf.function(made)(tf.constant(step, tf.int64))
                self.assertEqual((result.dtype, result.shape), (tf.float32, ()))
                self.assertAllClose(result, rate, 1e-5, 1e-6)

    def test_refuses_a_warmup_as_long_as_the_training(self) -> None:
        config = OptimizerConfig(warmup_epochs=10.0)
        with self.assertRaisesRegex(UserError, "warmup_epochs=10 is 100 of 100 steps"):
            schedules.build(config, 10.0, 100)


if __name__ == "__main__":
    tf.test.main()
