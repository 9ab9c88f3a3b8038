"""Adam in one pass is Keras' Adam, in what it makes of weights and in its variables."""

from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models import adam
from models.adam import Adam, AdamW

_SHAPES = ((300, 400), (64, 128), (128,), ())  # the first one is large


def _trained(optimizer: keras.optimizers.Optimizer, steps: int = 20) -> list[Any]:
    """Weights and the optimizer's variables after some steps on fixed gradients."""
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=shape)) for shape in _SHAPES]
    optimizer.build(variables)

    @tf.function
    def step(gradients: list[tf.Tensor]) -> None:
        optimizer.apply(gradients, variables)

    for _ in range(steps):
        step([tf.constant(rng.normal(size=s), tf.float32) for s in _SHAPES])
    return [v.numpy() for v in (*variables, *optimizer.variables)]


def _operations(optimizer: keras.optimizers.Optimizer) -> list[str]:
    variables = [keras.Variable(tf.ones(shape)) for shape in _SHAPES]
    optimizer.build(variables)

    @tf.function
    def step() -> None:
        optimizer.apply([tf.ones(shape) for shape in _SHAPES], variables)

    return [node.op for node in step.get_concrete_function().graph.as_graph_def().node]


class AdamTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (Adam, keras.optimizers.Adam, {}),
        (Adam, keras.optimizers.Adam, {"use_ema": True, "clipnorm": 1.0}),
        (Adam, keras.optimizers.Adam, {"amsgrad": True}),
        (AdamW, keras.optimizers.AdamW, {"weight_decay": 0.1, "epsilon": 1e-3}),
    )
    def test_it_is_keras_within_rounding(
        self, ours: type, theirs: type, arguments: dict[str, Any]
    ) -> None:
        arguments = {"learning_rate": 0.01, **arguments}
        found, expected = _trained(ours(**arguments)), _trained(theirs(**arguments))
        self.assertLen(found, len(expected))
        for mine, other in zip(found, expected, strict=True):
            self.assertAllClose(mine, other, 1e-5, 1e-5)

    def test_another_step_would_be_told_apart(self) -> None:
        found, expected = _trained(Adam(0.01)), _trained(keras.optimizers.Adam(0.011))
        self.assertNotAllClose(found[0], expected[0], 1e-3, 1e-3)

    def test_large_variables_take_one_operation(self) -> None:
        self.assertEqual(_operations(Adam()).count("ResourceApplyAdam"), 1)
        self.assertNotIn("ResourceApplyAdam", _operations(keras.optimizers.Adam()))

    def test_variables_of_other_processes_are_left_to_keras(self) -> None:
        here, there = tf.Variable(tf.ones(_SHAPES[0])), mock.MagicMock(tf.Variable)
        there.configure_mock(
            dtype=here.dtype, shape=here.shape, device="/job:ps/task:0/device:CPU:0"
        )
        self.assertTrue(adam._is_large(here))
        self.assertFalse(adam._is_large(there))

    def test_saved_form_is_keras(self) -> None:
        self.assertEqual(
            Adam(name="a").get_config(), keras.optimizers.Adam(name="a").get_config()
        )
        again = keras.optimizers.deserialize(keras.optimizers.serialize(AdamW(0.5)))
        self.assertIsInstance(again, AdamW)
        self.assertAllClose(again.learning_rate, 0.5)


if __name__ == "__main__":
    tf.test.main()
