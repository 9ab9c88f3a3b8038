"""TensorFlow has the private parts that training and distribution rely on."""

import inspect
import types
from unittest import mock

import numpy as np
import tensorflow as tf

from app.distribution import tf_internals
from app.training import randomness


class TensorsTest(tf.test.TestCase):
    def test_a_view_shares_the_tensors_memory(self) -> None:
        tensor = tf.range(4.0)
        one, two = (tf_internals.view_of(tensor) for _ in range(2))
        self.assertAllEqual(one, [0.0, 1.0, 2.0, 3.0])
        self.assertTrue(np.shares_memory(one, two))
        self.assertFalse(np.shares_memory(one, tensor.numpy()))


class StateTest(tf.test.TestCase):
    def test_eager_mode_determinism_and_draws_are_kept(self) -> None:
        from tensorflow.python.framework import config

        def drawn(between) -> tuple[float, float]:
            tf.random.set_seed(3)
            first = float(tf.random.uniform([]))
            between()
            return first, float(tf.random.uniform([]))

        def change() -> None:
            tf.random.set_seed(5)
            tf.random.uniform([])
            tf.config.run_functions_eagerly(True)
            tf.config.experimental.enable_op_determinism()

        def change_and_return() -> None:
            with tf_internals.state_kept():
                change()

        whole = drawn(lambda: None)
        self.assertEqual(drawn(change_and_return), whole)
        self.assertFalse(tf.config.functions_run_eagerly())
        self.assertFalse(config.is_op_determinism_enabled())


class StrategiesTest(tf.test.TestCase):
    def test_the_coordination_service_takes_these_settings(self) -> None:
        from tensorflow.python.eager import context

        method = type(context.context()).configure_coordination_service
        told: dict = {}
        with mock.patch.object(
            type(context.context()),
            "configure_coordination_service",
            lambda _, **settings: told.update(settings),
        ):
            tf_internals.configure_coordination(workers=3, milliseconds=1000)
        known = inspect.signature(method).parameters
        self.assertContainsSubset(told, known)
        (job,) = told["coordinated_jobs"]
        self.assertEqual((job.name, job.num_tasks), ("worker", 3))
        self.assertEqual(told["heartbeat_timeout_in_ms"], 500)

    def test_update_is_replaced(self) -> None:
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        with strategy.scope():
            variable = tf.Variable(1.0)
        seen = []

        def made(update):
            def watched(changed, change, args, kwargs, group):
                seen.append(changed)
                return update(changed, change, args, kwargs, group)

            return watched

        tf_internals.replace_update(strategy, made)
        strategy.extended.update(variable, lambda v, by: v.assign_add(by), args=(2.0,))
        self.assertAllEqual(variable, 3.0)
        self.assertLen(seen, 1)

    def test_parameter_servers_ask_before_they_warn(self) -> None:
        from tensorflow.python.distribute import parameter_server_strategy_v2

        extended = parameter_server_strategy_v2.ParameterServerStrategyV2Extended
        source = inspect.getsource(extended)
        self.assertIn("_allow_run_without_coordinator", source)
        strategy = types.SimpleNamespace(extended=types.SimpleNamespace())
        tf_internals.allow_unscheduled_runs(strategy)
        self.assertEqual(
            vars(strategy.extended), {"_allow_run_without_coordinator": True}
        )


class ClosuresTest(tf.test.TestCase):
    def test_closures_are_watched(self) -> None:
        """By TensorFlow's own worker, but for the process that it would need."""
        from tensorflow.python.distribute.coordinator import cluster_coordinator

        worker = object.__new__(cluster_coordinator.Worker)
        worker.worker_index = 1
        done, told = [], []
        worker._process_closure = lambda closure: done.append(closure)
        cluster = types.SimpleNamespace(workers=[worker])
        coordinator = types.SimpleNamespace(_cluster=cluster)

        def around(number, arguments, process) -> None:
            told.append((number, arguments))
            process()

        tf_internals.watch_closures(coordinator, around)
        closure = types.SimpleNamespace(_args=(4, 5))
        worker._process_closure(closure)
        self.assertEqual(told, [(1, (4, 5))])
        self.assertEqual(done, [closure])

    def test_the_coordinator_has_what_is_watched(self) -> None:
        from tensorflow.python.distribute.coordinator import cluster_coordinator

        parts = vars(cluster_coordinator)
        self.assertTrue(callable(parts["Worker"]._process_closure))
        queue = inspect.getsource(parts["Worker"]._process_queue)
        self.assertIn("self._process_closure(closure)", queue)
        self.assertIn("self.worker_index", inspect.getsource(parts["Worker"].__init__))
        self.assertIn("self._args = ", inspect.getsource(parts["Closure"].__init__))
        self.assertIn("self.workers = ", inspect.getsource(parts["Cluster"].__init__))
        coordinator = inspect.getsource(parts["ClusterCoordinator"].__init__)
        self.assertIn("self._cluster = ", coordinator)


class DrawsTest(tf.test.TestCase):
    def test_the_names_of_stateful_draws_are_tensorflows(self) -> None:
        for name in randomness.STATEFUL_DRAWS:
            self.assertTrue(hasattr(tf.raw_ops, name), name)

    def test_no_other_operation_draws_from_a_state(self) -> None:
        from tensorflow.python.framework import op_def_registry

        words = ("Random", "Uniform", "Normal", "Multinomial", "Poisson", "Gamma")
        words += ("Binomial", "CandidateSampler", "Distorted")
        stateful = {
            name
            for name in dir(tf.raw_ops)
            if any(word in name for word in words)
            and (found := op_def_registry.get(name)) is not None
            and found.is_stateful
        }
        known = randomness.STATEFUL_DRAWS | NOT_IN_A_STEP
        self.assertEmpty(stateful - known)


# They make datasets, queues and generators, which a step does not; or all candidates.
NOT_IN_A_STEP = frozenset(
    {"AnonymousRandomSeedGenerator", "DeleteRandomSeedGenerator", "RandomDataset"}
    | {"ExperimentalRandomDataset", "RandomDatasetV2", "RandomShuffleQueue"}
    | {"RandomShuffleQueueV2", "StatelessRandomGetAlg", "AllCandidateSampler"}
)


if __name__ == "__main__":
    tf.test.main()
