"""A cluster of processes on this machine: started, watched, started again, stopped.

Read `Launcher.run` first. What the processes do is their own affair; what is known of
them is their exit status.
"""

import contextlib
import ctypes
import enum
import os
import signal
import socket
import subprocess
import threading
import time
import types
from collections.abc import Iterator, Sequence

from app.distribution.cluster import Cluster
from app.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USER_MISTAKE

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_LOOK = 0.05


class Ending(enum.Enum):
    """What the workers' exit statuses mean together."""

    DONE = EXIT_DONE
    MISTAKE = EXIT_USER_MISTAKE
    FAILED = EXIT_FAILED
    PAUSED = EXIT_INTERRUPTED
    LOST = -1


class Launcher:
    """Runs one `atelier` command as the workers of a cluster.

    Args:
      workers: how many.
      restarts: how often all of them are started again after one was lost.
      command: what each worker executes: a program and its arguments.
      patience: seconds that the others have to end in once one has ended.
    """

    def __init__(
        self, workers: int, restarts: int, command: Sequence[str], patience: float
    ) -> None:
        self._workers = workers
        self._restarts = restarts
        self._command = list(command)
        self._patience = patience
        self._processes: list[subprocess.Popen[str]] = []
        self._asked_to_stop = 0

    def run(self) -> int:
        """Runs until the command ends for good; returns the exit status."""
        with self._signals():
            for attempt in range(self._restarts + 1):
                ending, reason = self._run_once()
                if ending is not Ending.LOST:
                    return ending.value
                if self._asked_to_stop:
                    return EXIT_INTERRUPTED
                left = self._restarts - attempt
                then = f"starting all again ({left} restarts left)" if left else "end"
                _say(f"{reason}: {then}")
        return EXIT_INTERRUPTED

    def _run_once(self) -> tuple[Ending, str]:
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(self._workers)]
        _say(
            f"{self._workers} workers at {', '.join(addresses)}; TensorFlow's servers"
            " listen on every interface, whatever address they are given, and ask for"
            " no password: use a machine that only you reach, or a firewall"
        )
        try:
            self._processes = [
                self._start(Cluster(tuple(addresses), index))
                for index in range(self._workers)
            ]
            readers = [
                threading.Thread(target=_repeat, args=(f"[worker {index}] ", process))
                for index, process in enumerate(self._processes)
            ]
            for reader in readers:
                reader.start()
            killed = self._wait()
            for reader in readers:
                reader.join()
        finally:
            self._kill_all()
        return self._judge(killed)

    def _start(self, cluster: Cluster) -> subprocess.Popen[str]:
        cores = max(1, len(os.sched_getaffinity(0)) // self._workers)
        environment = {
            "TF_NUM_INTRAOP_THREADS": str(cores),
            **os.environ,
            "TF_CONFIG": cluster.to_tf_config(),
            "PYTHONUNBUFFERED": "1",
        }
        return subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )

    def _wait(self) -> list[int]:
        """Waits for all; returns the numbers of those that had to be killed."""
        deadline = float("inf")
        while running := [p for p in self._processes if p.poll() is None]:
            if len(running) < self._workers or self._asked_to_stop:
                deadline = min(deadline, time.monotonic() + self._patience)
            if any(p.returncode in _FOR_GOOD for p in self._processes):
                deadline = min(deadline, time.monotonic() + 1)
            if time.monotonic() > deadline or self._asked_to_stop > 1:
                killed = [i for i, p in enumerate(self._processes) if p.poll() is None]
                self._kill_all()
                return killed
            time.sleep(_LOOK)
        return []

    def _judge(self, killed: Sequence[int]) -> tuple[Ending, str]:
        """What the exit statuses mean, and why."""
        statuses = [p.returncode for p in self._processes]
        for index, status in enumerate(statuses):
            if status in _FOR_GOOD and index not in killed:
                return Ending(status), f"worker {index} ended with status {status}"
        for index, status in enumerate(statuses):
            if index in killed:
                return Ending.LOST, f"worker {index} hung, and was killed"
            if status < 0:
                name = signal.Signals(-status).name
                return Ending.LOST, f"worker {index} died of {name}"
        if any(status == EXIT_INTERRUPTED for status in statuses):
            return Ending.PAUSED, "paused"
        return Ending.DONE, "done"

    def _kill_all(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Within it SIGINT and SIGTERM ask the workers to pause; a second one kills."""
        before = {
            number: signal.signal(number, self._ask_to_stop)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask_to_stop(self, number: int, frame: types.FrameType | None) -> None:
        del number, frame
        self._asked_to_stop += 1
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)


_FOR_GOOD = (EXIT_FAILED, EXIT_USER_MISTAKE)


def _free_ports(count: int) -> list[int]:
    """Ports of the loopback interface on which nobody listens at the moment."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _repeat(prefix: str, process: subprocess.Popen[str]) -> None:
    """Passes on what a process says, line by line."""
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{prefix}{line.rstrip()}", flush=True)


def _die_with_parent() -> None:
    """In the child: even SIGKILL of the launcher leaves nothing running (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _say(text: str) -> None:
    print(f"[launch] {text}", flush=True)
