"""The other workers: meeting them at the start, and naming the one that fails.

TensorFlow's coordination service watches heartbeats; what it finds reaches this process
as an error of the operation that waits for the peer, or not at all while it waits for
one that never came. Here both get a name and a bound in time.
"""

import contextlib
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorflow.python.eager import context

from app.distribution.cluster import Cluster
from app.errors import EXIT_INTERRUPTED

_TASK = re.compile(r"/job:worker/(?:replica:\d+/)?task:(\d+)")
# How TensorFlow reports that a peer is gone, hangs, or gave up for a third one.
_PEER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


def connect(cluster: Cluster, timeout: float) -> tf.distribute.Strategy:
    """Meets the other workers; returns their common strategy.

    The process ends with status 75, saying who is missing, if they have not all come
    within `timeout` seconds: TensorFlow itself would wait without end.
    """
    os.environ["TF_CONFIG"] = cluster.to_tf_config()
    _watch_heartbeats(cluster, timeout)
    met = threading.Event()

    def give_up() -> None:
        if not met.wait(timeout):
            missing = _unreachable(cluster) or ["a worker, though all ports answer,"]
            end(f"{' and '.join(missing)} did not come within {timeout:g} s")

    threading.Thread(target=give_up, daemon=True).start()
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    finally:
        met.set()
    return strategy


@contextlib.contextmanager
def failures_named(cluster: Cluster, last_step: Callable[[], int]) -> Iterator[None]:
    """Within it the failure of a peer ends the process with status 75, by name."""
    try:
        yield
    except _PEER_ERRORS as error:
        if not cluster.workers:
            raise
        lost = _named_in(cluster, error.message) or _unreachable(cluster)
        who = " and ".join(lost) or f"a worker (TensorFlow says: {error.message})"
        end(
            f"{who} died or hangs; the last step that all workers ended is"
            f" {last_step()}; the same command on all workers goes on from the last"
            " checkpoint"
        )


def end(reason: str) -> None:
    """Ends the process at once: TensorFlow's own way out would wait for the peers."""
    print(f"atelier: {reason}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(EXIT_INTERRUPTED)


def _watch_heartbeats(cluster: Cluster, timeout: float) -> None:
    """Configures TensorFlow's coordination service before the strategy would.

    The strategy offers no way to set the time-outs, but keeps a configuration that is
    there: see _initialize_multi_worker in TensorFlow's collective_all_reduce_strategy.
    """
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2

    jobs = [
        coordination_config_pb2.CoordinatedJob(
            name="worker", num_tasks=len(cluster.workers)
        )
    ]
    milliseconds = int(1000 * timeout)
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        coordinated_jobs=jobs,
        # `connect` gives up first, and says who is missing.
        cluster_register_timeout_in_ms=2 * milliseconds,
        heartbeat_timeout_in_ms=milliseconds // 2,
        shutdown_barrier_timeout_in_ms=milliseconds,
    )


def _named_in(cluster: Cluster, message: str) -> list[str]:
    tasks = sorted({int(number) for number in _TASK.findall(message)})
    return [
        cluster.name(task)
        for task in tasks
        if task != cluster.index and task < len(cluster.workers)
    ]


def _unreachable(cluster: Cluster) -> list[str]:
    """Workers on whose port nobody listens."""
    return [
        cluster.name(index)
        for index in range(len(cluster.workers))
        if index != cluster.index and not _listens(cluster.workers[index])
    ]


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except OSError:
        return False
