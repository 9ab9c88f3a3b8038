"""Muon for convolutions: how far a step goes, and what it leaves to AdamW."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models import optimizers
from models.config import OptimizerConfig
from models.muon import ADAM_SHARE, ConvMuon


def _kernel(shape: tuple[int, ...] = (3, 3, 8, 16), seed: int = 0) -> keras.Variable:
    drawn = np.random.default_rng(seed).normal(size=shape).astype("float32")
    return keras.Variable(drawn, name="kernel")


def _apply(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable, gradient: tf.Tensor
) -> np.ndarray:
    """What a step adds to a variable."""
    before = variable.numpy()
    optimizer.apply([gradient], [variable])
    return variable.numpy() - before


class ConvMuonTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(((3, 3, 8, 16),), ((3, 3, 2, 32),))
    def test_a_step_is_an_orthogonal_matrix_of_the_rate(self, shape) -> None:
        held = _kernel(shape)
        held.assign(held * (shape[-1] ** 0.5 / tf.norm(held.value)))
        # 30 steps in place of 3: an iteration that is as good as done.
        step = _apply(
            ConvMuon(0.1, momentum=0.0, ns_steps=30, muon_a=1.5, muon_b=-0.5, muon_c=0),
            held,
            tf.convert_to_tensor(_kernel(shape, seed=1)),
        )
        matrix = step.reshape(-1, shape[-1])
        values = np.linalg.svd(matrix, compute_uv=False)
        self.assertAllClose(values, np.full(min(matrix.shape), 0.1), rtol=1e-2)

    def test_three_iterations_come_near_to_it(self) -> None:
        held = _kernel()
        held.assign(held * (4 / tf.norm(held.value)))
        gradient = tf.convert_to_tensor(_kernel(seed=1))
        step = _apply(ConvMuon(0.1, momentum=0.6), held, gradient)
        values = np.linalg.svd(step.reshape(-1, 16), compute_uv=False)
        self.assertAllInRange(values, 0.05, 0.13)

    @parameterized.parameters(((72, 16),), ((18, 32),), ((16, 16),))
    def test_products_in_bfloat16_are_near_those_in_float32(self, shape) -> None:
        matrix = tf.random.stateless_normal(shape, (0, 1))
        own, rough = (
            ConvMuon(0.1, product_dtype=dtype).zeropower_via_newtonschulz5(matrix, 3)
            for dtype in ("float32", "bfloat16")
        )
        keras_own = keras.optimizers.Muon(0.1).zeropower_via_newtonschulz5(matrix, 3)
        self.assertAllClose(own, keras_own, atol=1e-5)
        self.assertEqual(rough.dtype, tf.float32)
        self.assertLess(tf.norm(rough - own), 0.03 * tf.norm(own))
        self.assertGreater(tf.norm(rough - own), 1e-4 * tf.norm(own))

    @parameterized.parameters(
        ("float32", "float32"),
        ("mixed_bfloat16", "bfloat16"),
        ("mixed_float16", "float32"),
    )
    def test_products_are_as_rough_as_the_models(self, policy: str, dtype: str) -> None:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        self.addCleanup(keras.config.set_dtype_policy, before)
        config = OptimizerConfig(optimizer="conv_muon")
        optimizer = optimizers.build(config, model.trainable_variables, 1.0, 10)
        self.assertEqual(optimizer.product_dtype, dtype)

    def test_the_norm_is_held_and_the_size_of_gradients_is_nothing(self) -> None:
        gradient = tf.convert_to_tensor(_kernel(seed=1))
        found = []
        for scale, size in ((1.0, 1.0), (50.0, 1e-3)):
            kernel = _kernel()
            kernel.assign(kernel * scale)
            optimizer = ConvMuon(0.1)
            for _ in range(3):
                _apply(optimizer, kernel, gradient * size)
            found.append(kernel.numpy())
        self.assertAllClose(*found, atol=1e-5)
        self.assertAllClose(np.linalg.norm(found[0]), 4.0, atol=0.5)
        plain = _kernel(), _kernel()
        for kernel, size in zip(plain, (1.0, 1e-3), strict=True):
            _apply(keras.optimizers.SGD(0.1), kernel, gradient * size)
        self.assertNotAllClose(*[kernel.numpy() for kernel in plain], atol=1e-2)

    @parameterized.parameters(
        ((5, 3), "kernel"), ((7,), "bias"), ((3, 3, 4, 1), "kernel")
    )
    def test_the_rest_goes_by_adamw(self, shape, name) -> None:
        variable = keras.Variable(np.ones(shape, "float32"), name=name)
        gradient = tf.fill(shape, 3.0)
        step = _apply(ConvMuon(0.2, adam_weight_decay=None), variable, gradient)
        # Adam's first step is the rate, whatever the gradient.
        self.assertAllClose(step, np.full(shape, -0.2 * ADAM_SHARE), rtol=1e-4)

    def test_keras_muon_leaves_convolutions_to_adamw(self) -> None:
        step = _apply(
            keras.optimizers.Muon(0.2, weight_decay=0.0, adam_weight_decay=None),
            _kernel(),
            tf.convert_to_tensor(_kernel(seed=1)),
        )
        self.assertAllClose(np.abs(step), np.full(step.shape, 0.2), rtol=0.05)

    @parameterized.product(name=("muon", "conv_muon"), decay=(0.0, 0.5))
    def test_decay_is_what_was_asked_for(self, name: str, decay: float) -> None:
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 3)])
        kernel = model.layers[0].kernel
        kernel.assign(tf.ones_like(kernel))
        config = OptimizerConfig(
            optimizer=name, schedule="constant", learning_rate=0.2, weight_decay=decay
        )
        optimizer = optimizers.build(config, model.trainable_variables, 1.0, 10)
        variables = model.trainable_variables
        optimizer.apply([tf.zeros_like(v) for v in variables], variables)
        self.assertAllClose(kernel, np.full(kernel.shape, 1 - 0.2 * decay))

    def test_momentum_and_saved_arguments(self) -> None:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        config = OptimizerConfig(optimizer="conv_muon", momentum=0.3)
        optimizer = optimizers.build(config, model.trainable_variables, 1.0, 10)
        self.assertEqual(optimizer.momentum, 0.3)
        again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        self.assertEqual(again.get_config(), optimizer.get_config())


if __name__ == "__main__":
    tf.test.main()
