"""An algorithm of two players: a generator of vectors, and a critic that tells them."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from app.training.algorithm import Played, Player
from pipelines.batch import Batch

NOISE = 3


@keras.saving.register_keras_serializable(package="tests")
class Pair(keras.Model):
    """Both networks; called, it gives the critic's scores, float32 [B]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.generator = keras.Sequential(
            [
                keras.Input([NOISE]),
                keras.layers.Dense(8, activation="relu", name="generator_hidden"),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(features, name="generator_output"),
            ]
        )
        self.critic = keras.Sequential(
            [
                keras.Input([features]),
                keras.layers.Dense(16, activation="relu", name="critic_hidden"),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(
                    1, kernel_regularizer=keras.regularizers.L2(0.01), name="critic_out"
                ),
            ]
        )
        self.noise = keras.random.SeedGenerator(1)
        self.built = True

    def call(self, inputs, training=None):
        return self.critic(inputs, training=training)[:, 0]


class Adversarial:
    """Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661: one pass, two losses."""

    def __init__(
        self, model: Pair, optimizers: Mapping[str, keras.optimizers.Optimizer]
    ) -> None:
        self.model = model
        networks = {"critic": model.critic, "generator": model.generator}
        players = []
        for name, network in networks.items():
            variables = tuple(network.trainable_variables)
            optimizers[name].build(variables)
            players.append(Player(name, variables, optimizers[name]))
        self.players = tuple(players)

    def play(self, batch: Batch) -> Played:
        shape = (batch.inputs.shape[0], NOISE)
        noise = keras.random.normal(shape, seed=self.model.noise)
        made = self.model.generator(noise, training=True)
        real = self.model(batch.inputs, training=True)
        fake = self.model(made, training=True)
        losses = {
            "critic": tf.nn.softplus(-real) + tf.nn.softplus(fake),
            "generator": tf.nn.softplus(-fake),
        }
        penalties = {"critic": tf.add_n(self.model.critic.losses)}
        return Played(losses, {"real": real, "fake": fake}, penalties)


class Scores:
    """Metrics of it: examples, weight, loss, how often the critic tells real ones."""

    size = 4

    def sums(self, labels, outputs, losses, weights):
        told = tf.cast(outputs["real"] > outputs["fake"], tf.float64)
        sums = (tf.ones_like(weights), weights, losses * weights, told)
        return tf.stack([tf.reduce_sum(tf.cast(one, tf.float64)) for one in sums])
