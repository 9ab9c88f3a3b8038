"""Parameter servers: the tasks that serve, and the chief that deals steps to them.

A worker or parameter server runs TensorFlow's server and nothing else, until the chief
has gone (`serve`). The chief connects to all of them (`connect`), and watches that each
still answers, and that steps end (`Watch`): TensorFlow itself would wait for a task
that hangs, or a step that never ends, without end.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol

import tensorflow as tf

from app.distribution import connecting, peers, process_exit, tf_internals
from app.distribution.cluster import Cluster
from app.distribution.outstanding_steps import Standstill
from base.cores import available_cores
from base.errors import EXIT_DONE, EXIT_INTERRUPTED, Interrupted

_LOOK = 1.0
# Variables are cut into parts of this many bytes or more, one for each server at most.
_LEAST_PART = 256 << 10


def connect(cluster: Cluster, timeout: float) -> tf.distribute.Strategy:
    """The chief: waits for all tasks; returns the strategy over them.

    Raises:
      Interrupted: not all answer within `timeout` seconds; says which do not.
    """
    _await_tasks(cluster, timeout)
    # TensorFlow would otherwise wait for a lost task rather than report it.
    os.environ["GRPC_FAIL_FAST"] = "use_caller"
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster.jobs),
        task_type="chief",
        task_id=0,
        rpc_layer="grpc",
    )
    count = len(cluster.servers)
    partitioner = tf.distribute.experimental.partitioners.MinSizePartitioner(
        min_shard_bytes=_LEAST_PART, max_shards=count
    )
    process_exit.take_nothing_down()
    with connecting.bounded(dict(_served(cluster)), timeout):
        strategy = tf.distribute.ParameterServerStrategy(
            resolver, variable_partitioner=partitioner if count > 1 else None
        )
    _update_divided_variables(strategy)
    return strategy


def _update_divided_variables(strategy: tf.distribute.Strategy) -> None:
    """Lets Keras' optimizers update variables that are divided among servers.

    TensorFlow computes an update where the variable is; one that is divided is nowhere.
    What its parts are given is then computed by the worker, and sent part by part.
    """

    def made(update: tf_internals.Update) -> tf_internals.Update:
        def update_any(
            variable: Any,
            change: Callable[..., Any],
            args: Any,
            kwargs: Any,
            group: bool,
        ) -> Any:
            if not hasattr(variable, "variables"):
                return update(variable, change, args, kwargs, group)
            return change(variable, *args, **kwargs)

        return update_any

    tf_internals.replace_update(strategy, made)


def serve(
    cluster: Cluster, timeout: float, is_finished: Callable[[], bool]
) -> NoReturn:
    """A worker or parameter server: serves until the chief has gone; ends the process.

    Signals are the chief's to answer: it needs all tasks to save what they hold. The
    exit status is 0 if the run is finished then, else 75.

    Args:
      cluster: this task among the others.
      timeout: seconds in which the chief has to come, and to answer.
      is_finished: whether the run is, once the chief has gone.
    """
    # A function waits for another within these; with too few they wait for ever.
    threads = max(len(available_cores()), len(cluster.workers) + 1)
    numerics = tf.config.threading.get_intra_op_parallelism_threads()
    # Held, though not used: without a reference the server would stop.
    server = tf.distribute.Server(
        tf.train.ClusterSpec(cluster.jobs),
        job_name=cluster.job,
        task_index=cluster.index,
        protocol="grpc",
        config=tf.compat.v1.ConfigProto(
            inter_op_parallelism_threads=threads, intra_op_parallelism_threads=numerics
        ),
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    print(f"{cluster.name(cluster.index, cluster.job)} serves", flush=True)
    _follow_chief(cluster, timeout)
    del server
    # The server has no end of its own.
    os._exit(EXIT_DONE if is_finished() else EXIT_INTERRUPTED)


def _follow_chief(cluster: Cluster, timeout: float) -> None:
    """Returns when the chief, which was there, has gone.

    If it does not come, or hangs, the process ends with status 75, saying so.
    """
    came, answered = False, time.monotonic()
    while time.monotonic() - answered < timeout:
        if came and not peers.listens(cluster.chief):
            return
        if peers.answers(cluster.chief, _LOOK):
            came, answered = True, time.monotonic()
        time.sleep(_LOOK)
    what = "hangs" if came else "did not come"
    peers.end(f"{cluster.name(0, 'chief')} {what}: no answer within {timeout:g} s")


def _await_tasks(cluster: Cluster, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    waiting = _served(cluster)
    while waiting and time.monotonic() < deadline:
        waiting = [task for task in waiting if not peers.answers(task[1], _LOOK)]
    if waiting:
        names = " and ".join(name for name, _ in waiting)
        raise Interrupted(
            f"{names} did not come within {timeout:g} s; no step was done: the same"
            " command on all tasks goes on from the last checkpoint"
        )


def _served(cluster: Cluster) -> list[tuple[str, str]]:
    """Name and address of every parameter server and worker."""
    return [
        (cluster.name(index, job), address)
        for job in ("ps", "worker")
        for index, address in enumerate(cluster.jobs[job])
    ]


class Started(Protocol):
    """A run that goes on."""

    @property
    def step(self) -> int:
        """The last step that was done."""

    def standstill(self) -> Standstill | None:
        """Steps that workers of parameter servers owe; None while they owe none."""


def failures_named(
    cluster: Cluster, timeout: float, run: Callable[[], Started | None]
) -> contextlib.AbstractContextManager[None]:
    """Within it a task that fails ends the process with status 75, by name.

    Args:
      cluster: the tasks.
      timeout: seconds without an answer, or without the end of a step.
      run: gives the run once there is one.
    """

    def last_step() -> int:
        return started.step if (started := run()) else 0

    def standstill() -> Standstill | None:
        return started.standstill() if (started := run()) else None

    if not cluster.servers:
        return peers.failures_named(cluster, last_step)
    return Watch(cluster, timeout, last_step, standstill).running()


class Watch:
    """Ends the chief, by name, when a task hangs or one it cannot do without is gone.

    A worker that died is not missed as long as another is there: TensorFlow gives its
    steps to the others, and more to it once it is back. If all that are needed answer
    and yet no step ends, the worker that has one in hand is named.

    Args:
      cluster: of the chief.
      timeout: seconds without an answer, or without the end of a step.
      last_step: the last step that was done.
      standstill: what was dealt and has not ended, None while nothing is waited for.
    """

    def __init__(
        self,
        cluster: Cluster,
        timeout: float,
        last_step: Callable[[], int],
        standstill: Callable[[], Standstill | None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._timeout = timeout
        self._last_step = last_step
        self._standstill = standstill
        # When a task answered last; none before it has come, which `connect` waits for.
        self._answered: dict[str, float] = {}
        self._gone: set[str] = set()
        self._stopped = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Within it the tasks are watched."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        except peers.PEER_ERRORS as error:
            self._end(self._named(error), "died")
        finally:
            self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK):
            for name, address in _served(self._cluster):
                self._look(name, address)
            if not self._stopped.is_set():
                self._judge()

    def _look(self, name: str, address: str) -> None:
        if peers.answers(address, _LOOK):
            self._answered[name] = time.monotonic()
            if name in self._gone:
                self._gone.remove(name)
                self._say(f"{name} is back")
        elif name in self._answered.keys() - self._gone and not peers.listens(address):
            self._gone.add(name)
            self._say(f"{name} is gone since step {self._last_step()}")

    def _judge(self) -> None:
        now = time.monotonic()
        silent = {n for n, at in self._answered.items() if now - at > self._timeout}
        workers = {self._cluster.name(i) for i in range(len(self._cluster.workers))}
        bearable = self._gone & workers if workers - self._gone else set()
        if lost := sorted(silent - bearable):
            self._end(" and ".join(lost), "died or hangs")
        # One that has just fallen silent is judged by its silence, not by its steps.
        late = {n for n, at in self._answered.items() if now - at > self._timeout / 2}
        waited = None if late - bearable else self._standstill()
        if waited is not None and waited.seconds > self._timeout:
            self._end(
                f"no step has ended for {waited.seconds:.0f} s, though every task"
                f" answers: {self._holders(waited)}",
                "(more than --peer_timeout; raise it if a step takes that long)",
            )

    def _holders(self, waited: Standstill) -> str:
        if not waited.held:
            return "no worker has taken the steps that were dealt"
        return " and ".join(
            f"{self._cluster.name(worker)} has steps {first} to {last - 1} in hand and"
            f" is at step {at}"
            for worker, (first, last, at) in waited.held.items()
        )

    def _named(self, error: tf.errors.OpError) -> str:
        """Who is gone: looked for a while, as the error may come before the port."""
        names = dict(_served(self._cluster))
        for _ in range(3):
            lost = [name for name in names if not peers.answers(names[name], _LOOK)]
            if lost:
                return " and ".join(lost)
        return f"a task (TensorFlow says: {error.message})"

    def _end(self, who: str, what: str) -> None:
        peers.end(
            f"{who} {what}; the last step that was ended is {self._last_step()}; the"
            " same command on all tasks goes on from the last checkpoint"
        )

    def _say(self, text: str) -> None:
        print(f"atelier: {text}", file=sys.stderr, flush=True)
