"""Losses, metrics, tasks and optimizers of the user's own, from a file models.py."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import optimizers, owed, own_metrics, registry
from models.config import LossConfig, OptimizerConfig
from models.losses import own_loss
from models.metrics import Metrics
from models.spec import Inputs, Outputs
from models.tasks.registry import settle, task_of
from tests.own_folder import OwnFolderTestCase

_OUTPUTS = Outputs("classification", 3)
_VECTORS = Inputs("vector", (4,))
_FILE = """
import dataclasses
import keras
import tensorflow as tf
from models.metrics import SummedMetric
from models.tasks.classification import Classification
from models.tasks.base import Task

def loss(labels, outputs):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs) * 2

def mean_loss(labels, outputs):
    return tf.reduce_mean(loss(labels, outputs))

def column_loss(labels, outputs):
    return loss(labels, outputs)[:, None]

def text_loss(labels, outputs):
    return tf.as_string(loss(labels, outputs))

def labels_alone(labels):
    return labels

def highest(labels, outputs):
    return tf.reduce_max(outputs, axis=1)

def wrong(labels, outputs):
    return labels != tf.argmax(outputs, axis=1)
wrong.direction, wrong.title, wrong.unit = "min", "Mistakes", "examples"

def accuracy(labels, outputs):
    return labels == tf.argmax(outputs, axis=1)

class Recall(SummedMetric):
    '''Of each class the share found, averaged over the classes.'''
    direction = "max"

    def __init__(self, outputs):
        super().__init__(outputs)
        self.sum_sizes = {"found": outputs.size, "there": outputs.size, "all": 1}

    def sums(self, labels, outputs):
        there = tf.one_hot(labels, self.outputs.size)
        right = tf.cast(labels == tf.argmax(outputs, axis=1), tf.float32)
        return {"found": there * right[:, None], "there": there, "all": right * 0 + 1}

    def result(self, sums):
        assert sums["all"] == sums["examples"]
        return float((sums["found"] / sums["there"].clip(1)).mean())

class NoSizes(Recall):
    def __init__(self, outputs):
        self.outputs = outputs

class OtherSums(Recall):
    def sums(self, labels, outputs):
        return {"found": tf.one_hot(labels, self.outputs.size)}

class Half(SummedMetric):
    direction = "max"

class NoMetric:
    direction = "max"

class Hopeful(Classification):
    name = "hopeful"

class Lacking(Task):
    name = "lacking"
    targets = ("class_label",)

def sgd(learning_rate):
    return keras.optimizers.SGD(learning_rate, momentum=0.5)

def own_rate(learning_rate):
    return keras.optimizers.SGD(0.1)

def no_optimizer(learning_rate):
    return learning_rate

def built(learning_rate):
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.build([keras.Variable([1.0])])
    return optimizer

class Net(keras.Model):
    def __init__(self, inputs, outputs, width: int = 5):
        super().__init__()
        self.hidden = keras.layers.Dense(width, activation="relu")
        self.last = keras.layers.Dense(outputs.size)

    def call(self, inputs):
        return self.last(self.hidden(inputs))
"""


class OwnPartsTest(OwnFolderTestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("models.py", _FILE)
        self.task = task_of(_OUTPUTS)

    def checked(self, loss: str = "auto", metrics: str = "") -> Metrics:
        """The metrics, tried as they are when a run is put together."""
        found = Metrics(self.task, own_metrics.load(metrics, self.task))
        labels = tf.TensorSpec([None], tf.int64)
        owed.check_measures(
            self.task.loss(LossConfig(loss)), found, self.task.outputs, labels
        )
        return found


class LossTest(OwnPartsTest):
    def test_it_is_the_loss_of_each_example(self) -> None:
        labels, logits = tf.constant([0, 2], tf.int64), tf.constant([[1.0, 2, 3]] * 2)
        plain = self.task.loss(LossConfig())(labels, logits)
        own = self.task.loss(LossConfig("models:loss"))(labels, logits)
        self.assertAllClose(own, 2 * plain)

    @parameterized.parameters(
        ("mean_loss", "gave a single number for 8 examples: expected one number for"),
        ("column_loss", r"gave shape \(8, 1\) for 8 examples"),
        ("text_loss", "gave string: expected numbers"),
        ("labels_alone", r"takes \(labels\): expected labels_alone\(labels, outputs\)"),
        ("los", "did you mean 'loss'"),
    )
    def test_mistakes_have_one_line(self, name: str, line: str) -> None:
        with self.assertRaisesRegex(UserError, line) as caught:
            self.checked(loss=f"models:{name}")
        self.assertNotIn("\n", str(caught.exception))

    @parameterized.parameters(
        ({"loss": "mes"}, "unknown loss 'mes' .did you mean 'mse'"),
        ({"loss": "mine:"}, "expected package.module:function"),
        ({"task": "regresion"}, "did you mean 'regression'"),
        ({"loss": "models:loss", "label_smoothing": 0.1}, "leave one of them out"),
        ({"metrics": "accuracy"}, "expected package.module:name with :max or :min"),
        ({"metrics": "mine:f:mix"}, "unknown direction of --metrics=mine:f:mix"),
        ({"metrics": "mine:f:max,my:f:min"}, "'f' once"),
    )
    def test_flags_are_checked_before_anything_is_loaded(
        self, values: dict, line: str
    ) -> None:
        with self.assertRaisesRegex(UserError, line):
            LossConfig(**values)


class MetricsTest(OwnPartsTest):
    def test_padding_counts_nothing_and_batches_add_up(self) -> None:
        metrics = self.checked(metrics="models:highest:max,models:wrong,models:Recall")
        labels = np.array([0, 1, 1, 2, 0, 2])
        outputs = np.eye(3, dtype=np.float32)[[0, 1, 0, 2, 1, 2]] * 4
        rows = [(slice(0, 4), 4), (slice(4, 6), 4)]
        total = np.zeros(metrics.size)
        for part, size in rows:
            padding = size - len(labels[part])
            total += metrics.sums(
                tf.constant(np.pad(labels[part], (0, padding), constant_values=1)),
                tf.constant(
                    np.pad(
                        outputs[part],
                        ((0, padding), (0, 0)),
                        constant_values=np.nan,
                    )
                ),
                tf.zeros(size),
                tf.constant([1.0] * (size - padding) + [0.0] * padding),
            ).numpy()
        found = metrics.results(total)
        self.assertAllClose(found["highest"], 4.0)
        self.assertAllClose(found["wrong"], 2 / 6)
        self.assertAllClose(found["Recall"], (1 / 2 + 1 / 2 + 1) / 3)

    def test_they_are_declared(self) -> None:
        metrics = self.checked(metrics="models:highest:max,models:wrong,models:Recall")
        declared = {m.name: (m.title, m.direction, m.unit) for m in metrics.declared}
        self.assertEqual(declared["highest"], ("Highest", "max", ""))
        self.assertEqual(declared["wrong"], ("Mistakes", "min", "examples"))
        self.assertEqual(declared["Recall"][1], "max")
        self.assertIn("accuracy", declared)

    @parameterized.parameters(
        ("highest", "has no direction: expected models:highest:max or models:"),
        ("wrong:max", "says that its direction is 'min'"),
        ("accuracy:max", "there is a metric 'accuracy' of the task already"),
        ("mean_loss:min", "gave a single number"),
        ("labels_alone:max", "expected labels_alone.labels, outputs. -> .B."),
        ("NoSizes", "lacks sum_sizes"),
        ("Half", "lacks result, sums"),
        ("OtherSums", "gave sums named found: expected those of its sum_sizes"),
        ("NoMetric", "expected a subclass of models.metrics.SummedMetric"),
    )
    def test_mistakes_have_one_line(self, metric: str, line: str) -> None:
        with self.assertRaisesRegex(UserError, line) as caught:
            self.checked(metrics=f"models:{metric}")
        self.assertNotIn("\n", str(caught.exception))


class TaskTest(OwnPartsTest):
    def test_auto_goes_by_the_targets(self) -> None:
        self.assertEqual(settle("auto", "regression"), "regression")

    def test_a_subclass_is_learnt(self) -> None:
        name = settle("models:Hopeful", "classification")
        task = task_of(Outputs(name, 3))
        self.assertEqual((task.name, task.monitor), ("hopeful", "accuracy"))
        self.assertLen(task.head(), 1)

    @parameterized.parameters(
        ("regression", "learns values, and the targets here are class_label"),
        ("models:Lacking", "lacks .*losses"),
        ("models:NoMetric", "expected a subclass of models.tasks.base.Task"),
        ("models:sgd", "expected a subclass of models.tasks.base.Task"),
    )
    def test_mistakes_have_one_line(self, name: str, line: str) -> None:
        with self.assertRaisesRegex(UserError, line):
            settle(name, "classification")


class OptimizerTest(OwnPartsTest):
    def build(self, name: str, **options: float) -> keras.optimizers.Optimizer:
        config = OptimizerConfig(optimizer=name, **options)
        return optimizers.build(config, [keras.Variable([1.0])], 10.0, 100)

    def test_the_schedule_is_the_flags(self) -> None:
        optimizer = self.build("models:sgd", learning_rate=0.5)
        self.assertIsInstance(optimizer, keras.optimizers.SGD)
        self.assertAllClose(optimizer.learning_rate, 0.5)
        optimizer.build([keras.Variable([1.0])])
        optimizer.iterations.assign(100)
        self.assertAllClose(optimizer.learning_rate, 0.0)  # the cosine's end

    @parameterized.parameters(
        ("own_rate", {}, "keeps the rate 0.1"),
        ("no_optimizer", {}, "expected a keras.optimizers.Optimizer"),
        ("built", {}, "has variables already"),
        ("sgd", {"ema": 0.9}, "--ema=0.9 with --optimizer=models:sgd, which does not"),
        ("sgd", {"weight_decay": 0.1}, "leave --weight_decay out"),
        ("sgd", {"momentum": 0.5}, "leave --momentum out"),
    )
    def test_mistakes_have_one_line(self, name: str, given: dict, line: str) -> None:
        with self.assertRaisesRegex(UserError, line):
            self.build(f"models:{name}", **given)


class ModelClassTest(OwnPartsTest):
    def test_a_class_is_built_with_its_arguments(self) -> None:
        model = registry.build("models:Net", "width=7", _VECTORS, _OUTPUTS)
        self.assertEqual([w.shape for w in model.weights], [(4, 7), (7,), (7, 3), (3,)])

    def test_another_signature_is_one_line(self) -> None:
        with self.assertRaisesRegex(UserError, r"expected \(inputs, outputs, \*\*arg"):
            registry.build("models:sgd", "", _VECTORS, _OUTPUTS)


class OwnLossTest(OwnPartsTest):
    def test_integers_become_numbers_to_learn_by(self) -> None:
        loss = own_loss("models:accuracy")
        found = loss(tf.constant([0], tf.int64), tf.constant([[1.0, 0.0, 0.0]]))
        self.assertEqual((found.dtype, float(found[0])), (tf.float32, 1.0))


if __name__ == "__main__":
    tf.test.main()
