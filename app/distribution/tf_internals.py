"""TensorFlow's private parts that training and its distribution rely on.

Each function says what it relies on, and has a test of its own; setup.py keeps
TensorFlow to the version in which they hold. Nothing else in `app` reaches into it: a
test looks.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import config

# Of parameter servers: changes a variable by a function; the last says whether grouped.
Update = Callable[[Any, Callable[..., Any], Any, Any, bool], Any]


def view_of(tensor: tf.Tensor) -> np.ndarray:
    """An array on the tensor's own memory, not to be written to.

    Relies on `EagerTensor._numpy()`; the public `numpy()` copies.
    """
    view: np.ndarray = tensor._numpy()
    return view


def configure_coordination(workers: int, milliseconds: int) -> None:
    """Sets the time-outs of the coordination service that a strategy will start.

    Relies on `context.configure_coordination_service`, and on MultiWorkerMirrored
    Strategy keeping a configuration that is there: see `_initialize_multi_worker` in
    TensorFlow's collective_all_reduce_strategy, which offers no way to set them.

    Args:
      workers: that take part.
      milliseconds: in which a worker that fell silent is given up.
    """
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2

    jobs = [coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=workers)]
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        coordinated_jobs=jobs,
        # Atelier gives up first, and says who is missing.
        cluster_register_timeout_in_ms=2 * milliseconds,
        heartbeat_timeout_in_ms=milliseconds // 2,
        shutdown_barrier_timeout_in_ms=milliseconds,
    )


@contextlib.contextmanager
def state_kept() -> Iterator[None]:
    """Within it eager mode, determinism and the global seed may change.

    Relies on `config.is_op_determinism_enabled`, `disable_op_determinism`, and on the
    context's `_seed` and `_rng`, the seed with the place in what follows from it, and
    `_set_global_seed`, which also drops the kernels that keep a seed.
    """
    eager = tf.config.functions_run_eagerly()
    deterministic = config.is_op_determinism_enabled()
    held = context.context()
    seed, numbers = held._seed, getattr(held, "_rng", None)  # none before a seed
    place = numbers and numbers.getstate()
    try:
        yield
    finally:
        if tf.config.functions_run_eagerly() != eager:
            tf.config.run_functions_eagerly(eager)
        if not deterministic and config.is_op_determinism_enabled():
            config.disable_op_determinism()
        held._set_global_seed(seed)
        if numbers is not None:
            numbers.setstate(place)
            held._rng = numbers


def replace_update(
    strategy: tf.distribute.Strategy, made: Callable[[Update], Update]
) -> None:
    """Lets a strategy of parameter servers change variables by `made(its own way)`.

    Relies on `strategy.extended._update(variable, function, args, kwargs, group)`, by
    which the public `update` does it.
    """
    strategy.extended._update = made(strategy.extended._update)


def allow_unscheduled_runs(strategy: tf.distribute.Strategy) -> None:
    """Lets `strategy.run` be traced by the chief without a warning.

    Relies on `extended._allow_run_without_coordinator`.
    """
    strategy.extended._allow_run_without_coordinator = True


def watch_closures(
    coordinator: tf.distribute.coordinator.ClusterCoordinator,
    around: Callable[[int, Sequence[Any], Callable[[], None]], None],
) -> None:
    """Has each closure that a worker takes done by `around`.

    Relies on `coordinator._cluster.workers`, each with a `worker_index` and a method
    `_process_closure(closure)`, looked up on the instance; and on `closure._args`.

    Args:
      coordinator: whose workers are watched.
      around: told the worker's number, the closure's arguments, and what does it.
    """
    for worker in coordinator._cluster.workers:
        _watch_worker(worker, around)


def _watch_worker(
    worker: Any, around: Callable[[int, Sequence[Any], Callable[[], None]], None]
) -> None:
    process = worker._process_closure

    def watched(closure: Any) -> None:
        around(worker.worker_index, closure._args, lambda: process(closure))

    worker._process_closure = watched
