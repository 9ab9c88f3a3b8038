"""The training step: clipping, draws by step, one compilation, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from app.configs import flags
from app.configs.commands import TrainConfig
from app.runs import assembly
from app.training.inspection import Inspector
from app.training.loop import Trainer
from app.training.randomness import keyed_draws, refuse_stateful_draws
from base.errors import UserError

pytestmark = pytest.mark.slow


def make_trainer(*arguments: str) -> tuple[Trainer, assembly.Parts]:
    """A trainer on digits with a small model."""
    config = flags.parse(
        TrainConfig,
        ["--run_dir=unused", "--model=mlp", "--model_args=width=8,depth=1", *arguments],
    )
    parts = assembly.build_parts(config)
    trainer = assembly.make_trainer(parts)
    return trainer, parts


class StepTest(tf.test.TestCase):
    def weights(self, parts) -> list[np.ndarray]:
        return [v.numpy() for v in parts.network.model.trainable_variables]

    def test_gradients_are_clipped_by_their_common_norm(self):
        trainer, parts = make_trainer(
            "--optimizer=sgd",
            "--momentum=0",
            "--schedule=constant",
            "--learning_rate=1",
            "--clip_norm=0.01",
        )
        before = self.weights(parts)
        trainer.start_at(0)
        trainer.run(0, 1, np.zeros(parts.network.metrics.size))
        moves = zip(before, self.weights(parts), strict=True)
        norm = np.sqrt(sum(np.sum((new - old) ** 2) for old, new in moves))
        self.assertAllClose(norm, 0.01, rtol=1e-4)

    def test_the_loss_is_weighted_and_the_accuracy_is_not(self):
        trainer, parts = make_trainer("--class_weights=3=40", "--balance=oversample")
        model, metrics = parts.network.model, parts.network.metrics
        batch = parts.feed.batch(0)
        outputs = model(batch.inputs).numpy()
        trainer.start_at(0)
        result = trainer.run(0, 1, np.zeros(metrics.size))
        weights, labels = batch.weights.numpy(), batch.labels.numpy()
        self.assertAllClose(weights[labels == 3] / weights[labels != 3][0], [40.0] * 13)
        exponents = np.exp(outputs - outputs.max(-1, keepdims=True))
        shares = exponents / exponents.sum(-1, keepdims=True)
        losses = -np.log(shares[np.arange(len(labels)), labels])
        self.assertAllClose(result.loss, np.sum(weights * losses) / 128, rtol=1e-5)
        found = metrics.results(result.sums)
        self.assertAllClose(found["loss"], np.average(losses, weights=weights))
        self.assertNotAllClose(found["loss"], losses.mean(), rtol=1e-3)
        self.assertAllClose(found["accuracy"], np.mean(outputs.argmax(-1) == labels))

    def test_the_segment_is_compiled_once(self):
        trainer, parts = make_trainer()
        sums = np.zeros(parts.network.metrics.size)
        trainer.start_at(0)
        for first, last in ((0, 1), (1, 5), (5, 6)):
            result = trainer.run(first, last, sums)
            self.assertEqual(result.step, last)
            sums = result.sums
        self.assertEqual(trainer.traces(), 1)
        self.assertEqual(parts.network.metrics.by_name(sums)["examples"], 6 * 128)

    def test_a_segment_stops_at_a_step_that_is_not_finite(self):
        trainer, parts = make_trainer("--optimizer=sgd", "--learning_rate=1e30")
        trainer.start_at(0)
        result = trainer.run(0, 9, np.zeros(parts.network.metrics.size))
        self.assertFalse(result.finite)
        self.assertLess(result.step, 9)

    def test_looking_at_norms_changes_nothing(self):
        _, parts = make_trainer("--model=cnn", "--model_args=width=4")
        model = parts.network.model
        before = [v.numpy() for v in model.weights]
        norms = Inspector(assembly.trainer_parts(parts)).norms(3)
        for old, variable in zip(before, model.weights, strict=True):
            self.assertAllEqual(old, variable)
        self.assertLen(norms, 2 * len(model.trainable_variables))
        self.assertGreater(sum(norms.values()), 0)


class RandomnessTest(tf.test.TestCase):
    def masks(self, seed: int, step: int, replica: int = 0) -> np.ndarray:
        """What two dropout layers in a row let through."""
        first, second = keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)
        with keyed_draws(seed, tf.constant(step, tf.int64), replica):
            ones = tf.ones([64])
            masks = tf.stack([first(ones, training=True), second(ones, training=True)])
        return masks.numpy()

    def test_draws_are_a_function_of_seed_step_replica_and_layer(self):
        here = self.masks(1, 5)
        self.assertAllEqual(here, self.masks(1, 5))
        for other in (self.masks(2, 5), self.masks(1, 6), self.masks(1, 5, replica=1)):
            self.assertNotAllEqual(here, other)
        self.assertNotAllEqual(here[0], here[1])

    def test_keras_draws_for_itself_outside(self):
        layer = keras.layers.Dropout(0.5)
        first, second = (layer(tf.ones([64]), training=True) for _ in range(2))
        self.assertNotAllEqual(first, second)

    def test_a_layer_without_a_seed_of_its_own_is_covered(self):
        def draw(step: int) -> np.ndarray:
            with keyed_draws(1, tf.constant(step, tf.int64)):
                return keras.random.normal([8]).numpy()

        self.assertAllEqual(draw(3), draw(3))
        self.assertNotAllEqual(draw(3), draw(4))

    def test_a_draw_from_tensorflows_own_state_is_refused_by_name(self):
        @tf.function
        def step() -> tf.Tensor:
            with tf.name_scope("noisy_layer"):
                return tf.random.normal([3])

        graph = step.get_concrete_function().graph
        with self.assertRaisesRegex(UserError, "RandomStandardNormal in noisy_layer"):
            refuse_stateful_draws(graph)

    def test_a_model_that_draws_so_is_refused_before_the_first_step(self):
        trainer, _ = make_trainer(f"--model={__name__}:noisy", "--model_args=")
        with self.assertRaisesRegex(UserError, "whose state cannot be saved"):
            trainer.start_at(0)


class Noise(keras.layers.Layer):
    """Draws as Keras' documentation says one should not."""

    def call(self, inputs):
        return inputs + tf.random.normal(tf.shape(inputs))


def noisy(inputs, outputs) -> keras.Model:
    """A user's model with such a layer."""
    return keras.Sequential(
        [
            keras.Input(inputs.shape),
            keras.layers.Flatten(),
            Noise(),
            keras.layers.Dense(outputs.size),
        ]
    )


if __name__ == "__main__":
    tf.test.main()
