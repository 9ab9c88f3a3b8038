"""An algorithm of two players, on two replicas and through checkpoints."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from app.configs import flags
from app.configs.commands import TrainConfig
from app.runs import assembly
from app.training import checkpoints, nonfinite, randomness
from app.training.inspection import Inspector
from app.training.segments import SynchronousTrainer
from app.training.state import TrainState, weights_sha256
from app.training.step import TrainerParts
from tests.app.distribution.replicas import on_replicas
from tests.app.distribution.two_players import Adversarial, Pair, Scores

FEATURES, BATCH, STEPS = 4, 16, 8


def write_vectors(path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 80), ("validation", 8), ("test", 8)):
        arrays[f"x_{split}"] = rng.normal(2, 1, (count, FEATURES)).astype(np.float32)
        arrays[f"y_{split}"] = np.arange(count) % 2
    np.savez(path, **arrays)


def adam() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)


def momentum() -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(0.05, momentum=0.9)


def plain() -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(1.0)


@pytest.mark.slow
class TwoPlayersTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        path = pathlib.Path(self.get_temp_dir()) / "vectors.npz"
        write_vectors(path)
        given = (
            f"--dataset={path}",
            f"--batch_size={BATCH}",
            "--run_dir=unused",
            "--model=mlp",
            "--accumulate=2",
        )
        config = flags.parse(TrainConfig, list(given))
        with on_replicas(2, split=2):
            self.given = assembly.trainer_parts(assembly.build_parts(config))
        self.assertEqual(self.given.replicas, 2)

    def parts(
        self, critic=adam, generator=momentum, clip_norm: float | None = 0.5
    ) -> TrainerParts:
        keras.utils.clear_session()  # the same names whatever was built before
        keras.utils.set_random_seed(3)
        with self.given.strategy.scope():
            optimizers = {"critic": critic(), "generator": generator()}
            algorithm = Adversarial(Pair(FEATURES), optimizers)
        return dataclasses.replace(
            self.given, algorithm=algorithm, metrics=Scores(), clip_norm=clip_norm
        )

    def state(self, parts: TrainerParts) -> TrainState:
        algorithm = parts.algorithm
        return TrainState(algorithm.model, algorithm.players, parts.metrics.size)

    def train(self, parts: TrainerParts, state: TrainState, last: int) -> None:
        trainer = SynchronousTrainer(parts)
        first = state.progress.step
        trainer.start_at(first)
        result = trainer.run(first, last, state.sums)
        self.assertTrue(result.finite)
        self.assertEqual(result.step, last)
        self.assertEqual(trainer.traces(), 1)
        state.progress.step, state.sums = result.step, result.sums

    def resumed(self, forgotten: str = "nothing") -> tuple[str, dict[str, np.ndarray]]:
        """The weights and state of a run that goes on from a checkpoint on disk."""
        folder = pathlib.Path(self.get_temp_dir()) / forgotten
        parts = self.parts()
        state = self.state(parts)
        self.train(parts, state, 3)
        checkpoints.save(folder, checkpoints.Snapshot(state.arrays(), state.progress))
        snapshot = checkpoints.load_newest(folder, self.fail)
        parts = self.parts()
        state = self.state(parts)
        fresh = state.arrays()
        arrays = {
            name: fresh[name].copy() if name.startswith(forgotten) else value
            for name, value in snapshot.arrays.items()
        }
        state.restore(arrays, snapshot.progress)
        self.train(parts, state, STEPS)
        return weights_sha256(state.model), state.arrays()

    def test_resumes_to_the_same_bits(self) -> None:
        parts = self.parts()
        whole = self.state(parts)
        before = weights_sha256(whole.model)
        self.train(parts, whole, STEPS)
        digest, arrays = self.resumed()
        self.assertEqual(digest, weights_sha256(whole.model))
        self.assertNotEqual(digest, before)
        for name, value in whole.arrays().items():
            self.assertAllEqual(arrays[name], value, name)
        self.assertEqual(whole.sums[0], STEPS * BATCH)

    def test_a_forgotten_optimizer_is_noticed(self) -> None:
        """The negative control: the second player's is part of the state."""
        parts = self.parts()
        whole = self.state(parts)
        self.train(parts, whole, STEPS)
        digest, _ = self.resumed(forgotten="optimizer/generator/")
        self.assertNotEqual(digest, weights_sha256(whole.model))

    def test_names_in_checkpoints(self) -> None:
        names = self.state(self.parts()).arrays().keys()
        firsts = {name.rpartition("/00")[0] for name in names} - {""}
        averaged = {n for n in names if n.startswith("average/model/")}
        self.assertEqual(
            firsts, {"model", "average/model", "optimizer", "optimizer/generator"}
        )
        self.assertLen(averaged, 4)  # the critic's alone
        self.assertTrue(any("generator" in name for name in names))

    def test_replicas_hold_the_same(self) -> None:
        parts = self.parts()
        self.train(parts, self.state(parts), 3)
        for variable in parts.algorithm.model.variables:
            local = parts.strategy.experimental_local_results(variable.value)
            self.assertLen(local, 2)
            self.assertAllEqual(*local)

    def expected_gradients(self, parts: TrainerParts) -> dict[str, list[np.ndarray]]:
        """Of the first step, slice by slice, by a tape for each player."""
        total: dict[str, list[np.ndarray]] = {}
        size = BATCH // 4
        for player in parts.algorithm.players:
            for index in range(4):
                batch = parts.feed.batch(0, first=index * size, count=size)
                with tf.GradientTape() as tape:
                    step = tf.constant(0, tf.int64)
                    with randomness.keyed_draws(parts.seed, step, index):
                        played = parts.algorithm.play(batch)
                    loss = tf.reduce_sum(played.losses[player.name]) / BATCH
                    if player.name == "critic":
                        loss += played.penalties["critic"] / 4
                found = [g.numpy() for g in tape.gradient(loss, player.variables)]
                so_far = total.get(player.name, [0.0] * len(found))
                total[player.name] = [a + b for a, b in zip(so_far, found, strict=True)]
        return total

    def test_each_player_goes_down_its_own_loss(self) -> None:
        parts = self.parts(plain, plain, clip_norm=None)
        expected = self.expected_gradients(parts)
        # Moving averages were moved by looking; the gradients do not depend on them.
        before = {
            p.name: [v.numpy() for v in p.variables] for p in parts.algorithm.players
        }
        self.train(parts, self.state(parts), 1)
        for player in parts.algorithm.players:
            for old, new, gradient in zip(
                before[player.name],
                player.variables,
                expected[player.name],
                strict=True,
            ):
                self.assertAllClose(old - new.numpy(), gradient, rtol=1e-4, atol=1e-6)
            self.assertGreater(np.abs(expected[player.name][0]).max(), 1e-3)

    def test_each_players_gradients_are_clipped_by_their_own_norm(self) -> None:
        parts = self.parts(plain, plain, clip_norm=0.01)
        players = parts.algorithm.players
        before = [[v.numpy() for v in p.variables] for p in players]
        self.train(parts, self.state(parts), 1)
        for player, old in zip(players, before, strict=True):
            moves = zip(old, player.variables, strict=True)
            norm = np.sqrt(sum(np.sum((a - b.numpy()) ** 2) for a, b in moves))
            self.assertAllClose(norm, 0.01, rtol=1e-4)

    def test_a_players_value_that_is_not_finite_stops_all(self) -> None:
        parts = self.parts(plain, plain, clip_norm=None)
        whole = parts.algorithm.play

        def play(batch):
            played = whole(batch)
            wrong = played.losses["generator"] / 0.0
            losses = {**played.losses, "generator": wrong}
            return dataclasses.replace(played, losses=losses)

        parts.algorithm.play = play
        trainer, state = SynchronousTrainer(parts), self.state(parts)
        before = [v.numpy() for v in parts.algorithm.model.trainable_variables]
        trainer.start_at(0)
        result = trainer.run(0, 2, state.sums)
        self.assertEqual((result.finite, result.step), (False, 0))
        self.assertTrue(np.isfinite(result.loss))  # the first player's
        after = parts.algorithm.model.trainable_variables
        for old, variable in zip(before, after, strict=True):
            self.assertAllEqual(old, variable.numpy())
        batch = Inspector(parts).batch_of(0)
        said = nonfinite.culprit(parts.algorithm, batch, seed=parts.seed, step=0)
        self.assertEqual(said, "the loss of generator")

    def test_norms_of_both_players(self) -> None:
        parts = self.parts()
        before = weights_sha256(parts.algorithm.model)
        norms = Inspector(parts).norms(0)
        self.assertLen(
            norms, 2 * sum(len(p.variables) for p in parts.algorithm.players)
        )
        self.assertTrue(all(np.isfinite(value) for value in norms.values()))
        self.assertEqual(weights_sha256(parts.algorithm.model), before)

    def test_learning_rates(self) -> None:
        rates = self.state(self.parts()).learning_rates()
        self.assertAllClose(
            rates, {"learning_rate": 0.01, "learning_rate/generator": 0.05}
        )


if __name__ == "__main__":
    tf.test.main()
