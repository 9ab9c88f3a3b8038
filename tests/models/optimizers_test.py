"""Optimizers: what decays, what is clipped, what is averaged, what is refused."""

import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import optimizers, registry
from models.config import OPTIMIZERS, OptimizerConfig
from models.spec import Inputs, Outputs


def _model(name: str = "cnn", args: str = "depth=1,width=4") -> keras.Model:
    inputs, outputs = Inputs("image", (8, 8, 1)), Outputs("classification", 3)
    return registry.build(name, args, inputs, outputs)


def _build(model: keras.Model, **options: Any) -> keras.optimizers.Optimizer:
    config = OptimizerConfig(**{"schedule": "constant", **options})
    return optimizers.build(config, model.trainable_variables, 10.0, 100)


class OptimizersTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*OPTIMIZERS)
    def test_every_optimizer_takes_a_step(self, name: str) -> None:
        model = _model()
        options = {"weight_decay": 0.1, "clip_norm": 1.0, "ema": 0.9}
        optimizer = _build(model, optimizer=name, learning_rate=0.1, **options)
        self.assertEqual(type(optimizer).__name__.casefold(), name.replace("_", ""))
        before = [variable.numpy() for variable in model.trainable_variables]
        gradients = [tf.ones_like(variable) for variable in model.trainable_variables]
        optimizer.build(model.trainable_variables)

        @tf.function
        def step() -> None:
            optimizer.apply(gradients, model.trainable_variables)

        step()
        for old, new in zip(before, model.trainable_variables, strict=True):
            self.assertNotAllClose(old, new)

    def test_all_of_keras_are_there(self) -> None:
        # These wrap others, or want other weights for evaluation than for training.
        others = {"optimizer", "optimizermap", "lossscaleoptimizer", "multioptimizer"}
        others.add("schedulefreeadamw")
        classes = filter(inspect.isclass, vars(keras.optimizers).values())
        names = {value.__name__.casefold() for value in classes}
        own = {"conv_muon"}
        self.assertEqual(set(OPTIMIZERS), (names - others) | own)

    @parameterized.product(
        name=("sgd", "adamw"),
        model=(("cnn", "depth=1,width=4"), ("vit", "depth=1,width=8,heads=2")),
    )
    def test_decay_leaves_out_biases_and_norms(
        self, name: str, model: tuple[str, str]
    ) -> None:
        built = _model(*model)
        for variable in built.trainable_variables:
            variable.assign(tf.ones_like(variable))
        optimizer = _build(built, optimizer=name, learning_rate=0.1, weight_decay=0.5)
        gradients = [tf.zeros_like(variable) for variable in built.trainable_variables]
        optimizer.apply(gradients, built.trainable_variables)
        for variable in built.trainable_variables:
            decays = variable.name == "kernel"
            expected = 1 - 0.1 * 0.5 if decays else 1.0
            self.assertAllClose(variable, np.full(variable.shape, expected))

    def test_learnt_positions_and_attention_biases_do_not_decay(self) -> None:
        model = _model("vit", "depth=1,width=8,heads=2,positions=learnt")
        left_out = {
            v.name for v in model.trainable_variables if not optimizers.is_decayed(v)
        }
        self.assertEqual(left_out, {"position_embedding", "bias", "beta", "gamma"})
        attention = keras.layers.MultiHeadAttention(2, 4)
        attention.build((1, 3, 8), (1, 3, 8))
        decayed = {
            v.name for v in attention.trainable_variables if optimizers.is_decayed(v)
        }
        self.assertEqual(decayed, {"kernel"})

    def test_adamw_decays_nothing_unless_asked(self) -> None:
        model = _model()
        before = [variable.numpy() for variable in model.trainable_variables]
        gradients = [tf.zeros_like(variable) for variable in model.trainable_variables]
        _build(model, optimizer="adamw").apply(gradients, model.trainable_variables)
        self.assertAllClose(before, [v.numpy() for v in model.trainable_variables])

    def test_nesterov_and_momentum_reach_sgd(self) -> None:
        optimizer = _build(_model(), optimizer="sgd", momentum=0.7, nesterov=True)
        self.assertEqual((optimizer.momentum, optimizer.nesterov), (0.7, True))

    def test_weights_are_averaged_by_ema(self) -> None:
        model = _model()
        optimizer = _build(
            model, optimizer="sgd", momentum=0.0, learning_rate=1.0, ema=0.75
        )
        last = model.trainable_variables[-1]
        last.assign([0.0, 0.0, 0.0])
        gradients = [tf.ones_like(variable) for variable in model.trainable_variables]
        for _ in range(2):
            optimizer.apply(gradients, model.trainable_variables)
        self.assertAllClose(last, [-2.0] * 3)
        optimizer.finalize_variable_values(model.trainable_variables)
        # The average starts at the weights after the first step.
        self.assertAllClose(last, [0.75 * -1 + 0.25 * -2] * 3)

    @parameterized.parameters(
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: expected a number > 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"ema": 1.0}, "ema=1.0: expected 0 < value < 1"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"nesterov": True}, "expected --optimizer=sgd, or --nesterov left out"),
        ({"momentum": 0.5}, "momentum=0.5 with --optimizer=adamw, which does not read"),
        ({"decay_epochs": 3.0}, "expected --schedule=step or exponential, or"),
        ({"decay_rate": 0.5, "schedule": "triangular"}, "--decay_rate=0.5"),
        ({"final_learning_rate": 1e-4, "schedule": "step"}, "--schedule=step, which"),
        ({"schedule": "one_cycle", "warmup_epochs": 1.0}, "warms up by itself"),
        ({"final_learning_rate": 1.0}, "at most --learning_rate=0.001"),
    )
    def test_mistakes_have_one_line(self, options: dict, line: str) -> None:
        with self.assertRaisesRegex(UserError, line) as caught:
            OptimizerConfig(**options)
        self.assertNotIn("\n", str(caught.exception))


if __name__ == "__main__":
    tf.test.main()
