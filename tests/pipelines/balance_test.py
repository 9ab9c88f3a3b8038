"""Balanced classes and weighted examples, as functions of the position."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from sklearn.utils.class_weight import compute_class_weight

from base.errors import UserError
from pipelines import augmentation
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.features import ExampleSpec, Values, Vector
from pipelines.order import Balance, Order
from pipelines.sources.arrays import ArraySource
from tests.pipelines.folders import write_image

_SIZES = {"cat": 4, "dog": 17, "newt": 9}
_LABELS = np.repeat([0, 2, 3], [5, 17, 9])  # class 1 has no examples


def _order(batch_size: int = 8, seed: int = 3) -> Order:
    return Order(len(_LABELS), batch_size, seed, Balance(_LABELS))


def _epoch(order: Order, epoch: int) -> np.ndarray:
    size = order.epoch_size
    positions = tf.range(epoch * size, (epoch + 1) * size, dtype=tf.int64)
    return order.examples_at(positions).numpy()


class BalanceTest(tf.test.TestCase):
    def test_an_epoch_holds_every_class_equally_often_and_leaves_none_out(self) -> None:
        order = _order()
        self.assertEqual(order.epoch_size, 3 * 17)
        for epoch in (0, 1, 7):
            counts = np.bincount(_epoch(order, epoch), minlength=len(_LABELS))
            for label, size in ((0, 5), (2, 17), (3, 9)):
                own = counts[label == _LABELS]
                self.assertEqual(own.sum(), 17)
                self.assertAllInSet(own, [17 // size, -(-17 // size)])

    def test_the_check_notices_an_order_that_is_not_balanced(self) -> None:
        counts = np.bincount(_LABELS[_epoch(Order(len(_LABELS), 8, 3), 0)])
        self.assertNotAllEqual(counts[[0, 2, 3]], [17, 17, 17])

    def test_as_many_neighbours_as_classes_hold_each_once(self) -> None:
        labels = _LABELS[_epoch(_order(), 2)].reshape(-1, 3)
        self.assertAllEqual(np.sort(labels), [[0, 2, 3]] * 17)
        self.assertGreater(len(np.unique(labels, axis=0)), 3)  # in changing order

    def test_epochs_and_seeds_differ(self) -> None:
        epoch = _epoch(_order(), 0)
        self.assertNotAllEqual(epoch, _epoch(_order(), 1))
        self.assertNotAllEqual(epoch, _epoch(_order(seed=4), 0))

    def test_is_a_function_of_the_step_for_any_replica(self) -> None:
        order = _order()
        compiled = tf.function(order.examples_of)
        for step in (0, 6, 1000):
            whole = order.examples_of(step)
            self.assertAllEqual(compiled(tf.constant(step, tf.int64)), whole)
            for replicas in (2, 4):
                share = 8 // replicas
                slices = [
                    order.examples_of(step, first=share * replica, count=share)
                    for replica in range(replicas)
                ]
                self.assertAllEqual(np.concatenate(slices), whole)


class WeightsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir()) / "pets"

    def _open(self, **flags: object) -> Dataset:
        if not self.folder.exists():
            for seed, (name, size) in enumerate(_SIZES.items()):
                for i in range(size):
                    write_image(self.folder / name / f"{i}.png", 100 * seed + i)
        flags = {"batch_size": 6, "split": "0.7,0.3,0", **flags}
        return open_dataset(DataConfig(dataset=str(self.folder), **flags))

    def test_balanced_weights_are_those_of_scikit_learn(self) -> None:
        dataset = self._open(class_weights="balanced")
        labels = dataset.source.read_targets(dataset.splits["train"])
        expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
        found = dataset.summary()["weights"]["classes"]
        self.assertAllClose([found[name] for name in _SIZES], expected)
        batch = dataset.training(dataset.order(0)).batch(5)
        self.assertAllClose(batch.weights, expected[batch.labels])

    def test_named_weights_are_scaled_to_a_mean_of_one(self) -> None:
        dataset = self._open(class_weights="dog=30,newt=10")
        found = dataset.summary()["weights"]["classes"]
        self.assertAllClose(found["dog"] / found["cat"], 30, rtol=1e-6)
        self.assertAllClose(found["newt"] / found["cat"], 10, rtol=1e-6)
        order = Order(dataset.split_sizes["train"], 6)
        feed = dataset.training(order)
        weights = np.concatenate([feed.batch(step).weights for step in range(4)])
        self.assertAllClose(np.mean(weights[: order.examples]), 1, rtol=1e-6)

    @parameterized.parameters("", "mixup=0.5")
    def test_held_and_streamed_batches_are_equal(self, augment: str) -> None:
        flags = {"class_weights": "cat=7", "balance": "oversample"}
        feeds = []
        for cache in ("memory", "none"):
            dataset = self._open(cache=cache, **flags)
            feeds.append(
                dataset.training(dataset.order(3), augmentation.parse(augment))
            )
        held, streamed = feeds
        for step, batch in enumerate(streamed.batches(0).take(9)):
            for part, other in zip(batch, held.batch(step), strict=True):
                self.assertAllEqual(part, other)
            if augment:  # mixed as the labels are
                shares = batch.labels.numpy()
                least, most = batch.weights.numpy().min(), batch.weights.numpy().max()
                self.assertLess(least, most)
                expected = shares[:, 0] * 7 + shares[:, 1:].sum(1)
                scale = batch.weights.numpy() / expected
                self.assertAllClose(scale, np.full(6, scale[0]), rtol=1e-5)

    def test_an_evaluation_weighs_all_alike(self) -> None:
        dataset = self._open(class_weights="dog=3", balance="oversample")
        weights = [batch.weights for batch in dataset.evaluation("train", 7)]
        total = np.concatenate(weights)
        self.assertAllInSet(total, [0.0, 1.0])
        self.assertEqual(total.sum(), dataset.split_sizes["train"])

    @parameterized.parameters(
        ({"class_weights": "dgo=2"}, "no class 'dgo' .did you mean 'dog'"),
        ({"class_weights": "dog"}, "received 'dog'; expected balanced, or"),
        ({"class_weights": "dog=0"}, "received 'dog=0'"),
        ({"class_weights": "dog=nan"}, "received 'dog=nan'"),
        ({"class_weights": ""}, "received ''"),
        ({"class_weights": "dog=1,dog=2"}, "each class once"),
        ({"class_weights": "balanced", "balance": "oversample"}, "twice over"),
        ({"weights": "age"}, "is no table"),
    )
    def test_what_does_not_fit_is_refused(self, flags: dict, message: str) -> None:
        with self.assertRaisesRegex(UserError, message):
            self._open(**flags)

    @parameterized.parameters({"class_weights": "balanced"}, {"balance": "oversample"})
    def test_values_have_no_classes(self, **flags: str) -> None:
        rows = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
        source = ArraySource(
            "rows", ExampleSpec(Vector((5,)), Values()), rows, rows[:, :1]
        )
        with self.assertRaisesRegex(UserError, "rows has no classes but values"):
            Dataset(source, DataConfig(batch_size=4, **flags))


if __name__ == "__main__":
    tf.test.main()
