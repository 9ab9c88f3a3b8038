"""Keras has the private parts that Atelier relies on, and they do what is relied on."""

import keras
import numpy as np
import tensorflow as tf

from models import keras_internals


def nested() -> keras.Model:
    """A functional model within another, both of which hold a dense layer."""
    inner = keras.Sequential([keras.Input([4]), keras.layers.Dense(3, name="inside")])
    inputs = keras.Input([4])
    hidden = keras.layers.Dropout(0.5, name="dropout")(inner(inputs))
    return keras.Model(inputs, {"out": keras.layers.Dense(2, name="outside")(hidden)})


class LayersTest(tf.test.TestCase):
    def test_all_layers(self) -> None:
        model = nested()
        names = {layer.name for layer in keras_internals.all_layers(model)}
        self.assertContainsSubset({"inside", "outside", "dropout"}, names)
        self.assertNotIn(model.name, names)
        flat = keras_internals.all_layers(model, recursive=False)
        self.assertNotIn("inside", {layer.name for layer in flat})

    def test_child_layers(self) -> None:
        class Holder(keras.layers.Layer):
            def __init__(self) -> None:
                super().__init__()
                self.one = keras.layers.Dense(1)
                self.more = [keras.layers.Dense(1)]

        self.assertLen(keras_internals.child_layers(Holder()), 2)
        self.assertEmpty(keras_internals.child_layers(object()))

    def test_functional(self) -> None:
        model = nested()
        self.assertIs(keras_internals.functional(model), model)
        sequential = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        inside = keras_internals.functional(sequential)
        self.assertIsNotNone(inside)
        self.assertIsNot(inside, sequential)

        class Subclassed(keras.Model):
            pass

        self.assertIsNone(keras_internals.functional(Subclassed()))

    def test_a_functional_model_computes_as_its_nodes_do(self) -> None:
        model = nested()
        given = np.ones([2, 4], np.int32)
        (x,) = keras_internals.standardized_inputs(model, given)
        self.assertEqual(x.dtype, tf.float32)
        values = {id(model.inputs[0]): x}
        by_depth = keras_internals.nodes_by_depth(model)
        for depth in sorted(by_depth, reverse=True):
            for node in by_depth[depth]:
                if node.operation and not node.is_input:
                    made = keras_internals.call_of(node, values, training=False)
                    self.assertLen(node.input_tensors, 1)
                    values[id(node.outputs[0])] = made
        found = [values[id(tensor)] for tensor in model.outputs]
        found = keras_internals.structured_outputs(model, found)
        self.assertAllEqual(found["out"], model(given, training=False)["out"])

    def test_a_call_is_told_whether_it_trains(self) -> None:
        model = nested()
        nodes = [n for ns in keras_internals.nodes_by_depth(model).values() for n in ns]
        (node,) = [n for n in nodes if n.operation.name == "dropout"]
        values = {id(node.input_tensors[0]): tf.ones([50, 3])}
        kept = keras_internals.call_of(node, values, training=False)
        dropped = keras_internals.call_of(node, values, training=True)
        self.assertAllEqual(kept, tf.ones([50, 3]))
        self.assertAllInSet(np.unique(dropped), [0.0, 2.0])

    def test_build_shape(self) -> None:
        model = keras.Sequential([keras.layers.Dense(1)])
        model.build([None, 3])
        self.assertEqual(tuple(keras_internals.build_shape(model)), (None, 3))

    def test_a_call_is_replaced(self) -> None:
        layer = keras.layers.Dense(2)
        model = keras.Sequential([keras.Input([3]), layer])
        keras_internals.replace_call(layer, lambda inputs: tf.zeros([7]))
        self.assertAllEqual(model(tf.ones([1, 3])), tf.zeros([7]))
        self.assertIs(type(layer), keras.layers.Dense)
        self.assertNotIn("call", layer.get_config())

    def test_build_and_call_are_wrapped(self) -> None:
        told = []

        def wrapped(method):
            def run(*args, **kwargs):
                told.append(method.__name__)
                return method(*args, **kwargs)

            return run

        layer = keras.layers.Dense(2)
        keras_internals.wrap_build_and_call(layer, wrapped)
        self.assertEqual(layer(tf.ones([1, 3])).shape, [1, 2])
        self.assertEqual(told, ["build", "call"])

    def test_outputs_are_watched_from_within(self) -> None:
        seen: list[str] = []
        model = nested()
        with keras_internals.outputs_watched(lambda layer, _: seen.append(layer.name)):
            model(tf.ones([1, 4]))
        self.assertLess(seen.index("inside"), seen.index("outside"))
        self.assertEqual(seen[-1], model.name)
        count = len(seen)
        model(tf.ones([1, 4]))
        self.assertLen(seen, count)


class TensorsTest(tf.test.TestCase):
    def test_raw_value_is_not_cast(self) -> None:
        layer = keras.layers.Dense(1, dtype="mixed_bfloat16")
        layer.build([None, 2])
        seen = []

        def call(inputs):
            seen.append(layer.kernel.value.dtype)
            seen.append(keras_internals.raw_value(layer.kernel).dtype)
            return inputs

        keras_internals.replace_call(layer, call)
        layer(tf.ones([1, 2]))
        self.assertEqual(seen, [tf.bfloat16, tf.float32])

    def test_a_mask_is_noticed(self) -> None:
        masked = keras.layers.Embedding(5, 2, mask_zero=True)(tf.constant([[1, 0]]))
        self.assertTrue(keras_internals.has_mask(masked))
        self.assertFalse(keras_internals.has_mask(tf.ones([1])))

    def test_draws_ask_a_seed_generator(self) -> None:
        """What app.training.randomness takes over: the method of the class."""
        asked = []
        original = keras.random.SeedGenerator.next

        def following(generator, ordered=True):
            asked.append(ordered)
            return original(generator, ordered)

        keras.random.SeedGenerator.next = following
        try:
            keras.layers.Dropout(0.5)(tf.ones([2]), training=True)
            keras.random.normal([2])
        finally:
            keras.random.SeedGenerator.next = original
        self.assertLen(asked, 2)


class ProcessTest(tf.test.TestCase):
    def test_names_precision_and_seed_are_kept(self) -> None:
        keras.utils.clear_session()
        keras.config.set_dtype_policy("mixed_bfloat16")
        self.addCleanup(keras.config.set_dtype_policy, "float32")
        first = keras.layers.Dense(1).name
        keras.layers.Dense(1)
        with keras_internals.state_kept():
            keras.utils.clear_session()
            keras.config.set_dtype_policy("float32")
            self.assertEqual(keras.layers.Dense(1).name, first)
        self.assertEqual(keras.layers.Dense(1).name, f"{first}_2")
        self.assertEqual(keras.config.dtype_policy().name, "mixed_bfloat16")


class OptimizersTest(tf.test.TestCase):
    def built(self, optimizer):
        variable = keras.Variable([1.0, 2.0])
        optimizer.build([variable])
        return variable

    def test_reduction_is_left_to_the_caller(self) -> None:
        for optimizer in (
            keras.optimizers.SGD(1.0),
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0)),
        ):
            inner = keras_internals.inner_optimizer(optimizer)
            self.assertTrue(callable(type(inner)._all_reduce_sum_gradients))
            keras_internals.leave_reduction_to_the_caller(optimizer)
            pairs = [(1, 2)]
            self.assertEqual(inner._all_reduce_sum_gradients(pairs), pairs)

    def test_replicas_sum_unless_left(self) -> None:
        """Keras asks the very method that is replaced."""
        asked = []
        optimizer = keras.optimizers.SGD(1.0)
        variable = self.built(optimizer)
        original = optimizer._all_reduce_sum_gradients
        optimizer._all_reduce_sum_gradients = lambda pairs: (
            asked.append(pairs := list(pairs)) or original(pairs)
        )
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        strategy.run(lambda: optimizer.apply([tf.ones([2])], [variable]))
        self.assertLen(asked, 1)

    def test_moving_averages(self) -> None:
        optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
        variable = self.built(optimizer)
        optimizer.apply([tf.constant([1.0, 1.0])], [variable])
        (average,) = keras_internals.moving_averages(optimizer)
        self.assertAllClose(variable, [0.0, 1.0])
        self.assertAllClose(average, [0.0, 1.0])  # the first step sets it
        optimizer.apply([tf.constant([1.0, 1.0])], [variable])
        self.assertAllClose(average, [-0.25, 0.75])
        self.assertEmpty(keras_internals.moving_averages(keras.optimizers.SGD(1.0)))

    def test_adam_moments(self) -> None:
        optimizer = keras.optimizers.AdamW(0.1, beta_1=0.5, beta_2=0.75)
        variable = self.built(optimizer)
        gradient = tf.constant([2.0, 4.0])
        optimizer.apply([gradient], [variable])
        first, second = keras_internals.adam_moments(optimizer, variable)
        self.assertAllClose(first, 0.5 * gradient)
        self.assertAllClose(second, 0.25 * gradient**2)

    def test_muon_asks_who_updates_what(self) -> None:
        class Half(keras_internals.Muon):
            def goes_by_adamw(self, variable):
                return len(variable.shape) == 1

            def update_matrix(self, gradient, variable, rate, momentum):
                self.assign(momentum, gradient)
                self.assign(variable, 7.0 * keras.ops.ones_like(variable))

        optimizer = Half(learning_rate=0.1)
        matrix, vector = keras.Variable([[1.0, 2.0]]), keras.Variable([1.0, 2.0])
        optimizer.build([matrix, vector])
        optimizer.apply([tf.ones([1, 2]), tf.ones([2])], [matrix, vector])
        self.assertAllClose(matrix, [[7.0, 7.0]])
        self.assertNotAllClose(vector, [1.0, 2.0])
        self.assertNotAllClose(vector, [7.0, 7.0])

    def test_muon_does_as_keras_does_unless_it_is_told(self) -> None:
        found = []
        for kind in (keras.optimizers.Muon, keras_internals.Muon):
            optimizer = kind(learning_rate=0.1)
            matrix = keras.Variable([[1.0, 2.0], [3.0, 5.0]])
            optimizer.build([matrix])
            optimizer.apply([tf.constant([[1.0, 0.0], [0.5, 2.0]])], [matrix])
            found.append(matrix.numpy())
        self.assertAllEqual(*found)


if __name__ == "__main__":
    tf.test.main()
