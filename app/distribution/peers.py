"""The other workers: meeting them at the start, and naming the one that fails.

TensorFlow's coordination service watches heartbeats; what it finds reaches this process
as an error of the operation that waits for the peer. Here it gets a name, and a peer
that never comes one too, within a stated time.
"""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import grpc
import tensorflow as tf

from app.distribution import connecting, lost, rendezvous, tf_internals
from app.distribution.cluster import Cluster
from base.errors import EXIT_INTERRUPTED

# Seconds in which a server that runs answers.
_PROBE = 3.0
_TASK = re.compile(r"/job:worker/(?:replica:\d+/)?task:(\d+)")
# How TensorFlow reports that a peer is gone, hangs, or gave up for a third one.
PEER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


def connect(cluster: Cluster, timeout: float) -> tf.distribute.Strategy:
    """Meets the other workers; returns their common strategy.

    A worker lost between the meeting and TensorFlow's own, which waits for it without
    end and lets no thread run, ends this process by SIGALRM after `timeout` seconds,
    by name: see `connecting`.

    Raises:
      Interrupted: not all have come within `timeout` seconds; says who is missing.
    """
    os.environ["TF_CONFIG"] = cluster.to_tf_config()
    tf_internals.configure_coordination(len(cluster.workers), int(1000 * timeout))
    rendezvous.meet(cluster, timeout)
    others = {
        cluster.name(index): address
        for index, address in enumerate(cluster.workers)
        if index != cluster.index
    }
    with connecting.bounded(others, timeout):
        return tf.distribute.MultiWorkerMirroredStrategy()


@contextlib.contextmanager
def failures_named(cluster: Cluster, last_step: Callable[[], int]) -> Iterator[None]:
    """Within it the failure of a peer ends the process with status 75, by name."""
    try:
        yield
    except PEER_ERRORS as error:
        if not cluster.workers:
            raise
        names = _named_in(cluster, error.message) or _unreachable(cluster)
        who = " and ".join(names) or f"a worker (TensorFlow says: {error.message})"
        end(
            f"{who} died or hangs; the last step that all workers ended is"
            f" {last_step()}; the same command on all workers goes on from the last"
            " checkpoint"
        )


def end(reason: str) -> NoReturn:
    """Ends the process at once: TensorFlow's own way out would wait for the peers."""
    lost.tell_launcher()
    print(f"atelier: {reason}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(EXIT_INTERRUPTED)


def _named_in(cluster: Cluster, message: str) -> list[str]:
    tasks = sorted({int(number) for number in _TASK.findall(message)})
    return [
        cluster.name(task)
        for task in tasks
        if task != cluster.index and task < len(cluster.workers)
    ]


def _unreachable(cluster: Cluster) -> list[str]:
    """Workers whose TensorFlow server is not there, or hangs."""
    return [
        cluster.name(index)
        for index in range(len(cluster.workers))
        if index != cluster.index and not answers(cluster.workers[index], _PROBE)
    ]


def answers(address: str, timeout: float) -> bool:
    """Whether TensorFlow's server at `address` answers within `timeout` seconds.

    The kernel accepts a connection for a process that hangs; gRPC's greeting takes one
    that runs.
    """
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout)
        except grpc.FutureTimeoutError:
            return False
    return True


def listens(address: str) -> bool:
    """Whether anybody has the port of `address`, hung or not."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except ConnectionRefusedError:
        return False
    except OSError:
        return (
            True  # no answer: a host that is slow, or gone, but no process that ended
        )
