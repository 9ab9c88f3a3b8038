"""What a model owes is checked on a batch: each mistake is one line."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from keras import layers

from base.errors import UserError
from models import owed
from models.spec import Column, Inputs, Outputs
from models.tasks.registry import task_of

_IMAGES = Inputs("image", (8, 8, 1))
_TEN = Outputs("classification", 10)


def _of(*given: layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), *given])


def _flat(*given: layers.Layer) -> keras.Model:
    return _of(layers.Flatten(), *given)


def _branches(join) -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    flat = layers.Flatten()(inputs)
    return keras.Model(inputs, join(layers.Dense(10)(flat), layers.Dense(10)(flat)))


@keras.saving.register_keras_serializable("owed_test")
class Biased(keras.Model):
    """Looks at the batch's size and no more."""

    def build(self, shape) -> None:
        self.bias = self.add_weight(shape=(10,), name="bias")

    def call(self, inputs):
        return tf.zeros([tf.shape(inputs)[0], 10]) + self.bias


def _biased() -> keras.Model:
    model = Biased()
    model(keras.Input((8, 8, 1)))
    return model


def _shares() -> keras.Model:
    def mean(one, other):
        return layers.Average()([layers.Softmax()(one), layers.Softmax()(other)])

    return _branches(mean)


MISTAKES = {
    "too few": (
        lambda: _flat(layers.Dense(3)),
        r"gives \[8, 3\] for a batch of 8 examples: expected \[8, 10\]",
    ),
    "too many": (lambda: _flat(layers.Dense(40)), r"gives \[8, 40\]"),
    "a map": (lambda: _of(layers.Conv2D(10, 1)), "a map for each.*flatten or pool"),
    "a dict": (
        lambda: _branches(lambda one, other: {"one": one, "other": other}),
        r"gives a dict \(one, other\): expected one tensor, \[8, 10\]",
    ),
    "a list": (lambda: _branches(lambda one, other: [one, other]), "gives a list"),
    "integers": (
        lambda: _flat(
            layers.Dense(10), layers.Lambda(lambda x: keras.ops.cast(x, "int32"))
        ),
        "gives int32: expected floating numbers",
    ),
    "a softmax": (
        lambda: _flat(layers.Dense(10, activation="softmax")),
        "ends in a softmax: classification owes logits.*leave the last activation",
    ),
    "a softmax before the end": (
        lambda: _flat(layers.Dense(10), layers.Softmax(), layers.Activation("linear")),
        "ends in a softmax",
    ),
    "a sigmoid": (lambda: _flat(layers.Dense(10, "sigmoid")), "ends in a sigmoid"),
    "shares": (_shares, "ends in probabilities"),
    "one answer": (_biased, "do not depend on the input"),
    "not a number": (
        lambda: _flat(
            layers.Dense(10), layers.Lambda(lambda x: keras.ops.log(-keras.ops.abs(x)))
        ),
        "not finite, before any training",
    ),
}

FIT = {
    "logits": lambda: _flat(layers.Dense(10)),
    "zeros at first": lambda: _flat(layers.Dense(10, kernel_initializer="zeros")),
    "a softmax inside": lambda: _flat(layers.Dense(10, "softmax"), layers.Dense(10)),
    "logarithms of shares": lambda: _flat(layers.Dense(10, "log_softmax")),
    "positive": lambda: _flat(layers.Dense(10, "relu")),
}


class OwedTest(parameterized.TestCase, tf.test.TestCase):
    def check(
        self,
        model: keras.Model,
        inputs: Inputs = _IMAGES,
        outputs: Outputs = _TEN,
        own_loss: bool = False,
    ) -> list[str]:
        """What is told of a model that is fit."""
        told: list[str] = []
        owed.check_model(
            "--model=mine:net",
            model,
            inputs,
            task_of(outputs),
            own_loss=own_loss,
            tell=told.append,
        )
        return told

    @parameterized.named_parameters((name, *both) for name, both in MISTAKES.items())
    def test_mistakes_have_one_line(self, build, line: str) -> None:
        with self.assertRaisesRegex(UserError, line) as caught:
            self.check(build())
        self.assertStartsWith(str(caught.exception), "--model=mine:net")
        self.assertNotIn("\n", str(caught.exception))

    @parameterized.named_parameters(FIT.items())
    def test_what_is_fit_passes_without_a_word(self, build) -> None:
        self.assertEmpty(self.check(build()))

    def test_probabilities_are_told_with_a_loss_of_ones_own(self) -> None:
        (line,) = self.check(_flat(layers.Dense(10, "softmax")), own_loss=True)
        self.assertRegex(line, "ends in a softmax: --loss gets them as they are")

    def test_a_sigmoid_is_no_matter_of_regression(self) -> None:
        values = Outputs("regression", 1)
        self.assertEmpty(self.check(_flat(layers.Dense(1, "sigmoid")), outputs=values))

    def test_a_compiled_model_is_told(self) -> None:
        model = _flat(layers.Dense(10))
        model.compile("sgd", "mse")
        (line,) = self.check(model)
        self.assertRegex(line, "is compiled: its own loss, optimizer and metrics")

    def test_a_part_of_a_table_that_is_not_used_is_told(self) -> None:
        columns = (Column("age", "numeric"), Column("town", "categorical"))
        rows = {
            "numbers": keras.Input((1,)),
            "texts": keras.Input((1,), dtype="string"),
        }
        model = keras.Model(rows, layers.Dense(10)(rows["numbers"]))
        (line,) = self.check(model, Inputs("table", (2,), columns))
        self.assertRegex(line, "does not use the texts columns")

    def test_looking_changes_nothing(self) -> None:
        model = _flat(
            layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(10)
        )
        before = [variable.numpy() for variable in model.variables]
        self.check(model)
        for old, variable in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(old, variable.numpy())


if __name__ == "__main__":
    tf.test.main()
