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
from collections.abc import Collection, Iterator, Sequence

from app.distribution import lost
from app.distribution.cluster import Cluster
from base.cores import available_cores
from base.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USER_MISTAKE

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_LOOK = 0.05
# Seconds in which the others notice that the chief is done.
_FAREWELL = 5.0


class Ending(enum.Enum):
    """What the workers' exit statuses mean together."""

    DONE = EXIT_DONE
    MISTAKE = EXIT_USER_MISTAKE
    FAILED = EXIT_FAILED
    PAUSED = EXIT_INTERRUPTED
    LOST = -1


class Launcher:
    """Runs one `atelier` command as the tasks of a cluster.

    Args:
      workers: how many.
      restarts: how often what was lost is started again: all of the tasks, or one
        worker of parameter servers.
      command: what each task executes: a program and its arguments.
      patience: seconds that the others have to end in once one has ended.
      parameter_servers: how many, with a chief beside them; 0 for workers alone.
    """

    def __init__(
        self,
        workers: int,
        restarts: int,
        command: Sequence[str],
        patience: float,
        parameter_servers: int = 0,
    ) -> None:
        self._workers = workers
        self._servers = parameter_servers
        self._restarts = restarts
        self._command = list(command)
        self._patience = patience
        self._tasks: dict[str, Cluster] = {}
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []
        self._asked_to_stop = 0

    def run(self) -> int:
        """Runs until the command ends for good; returns the exit status."""
        with self._signals():
            while True:
                ending, reason = self._run_once()
                if ending is not Ending.LOST:
                    return ending.value
                if self._asked_to_stop or not self._may_start_again(reason, "all"):
                    return EXIT_INTERRUPTED

    def _may_start_again(self, reason: str, what: str) -> bool:
        """Takes one of the restarts, if there is one, and says so."""
        if not self._restarts:
            _say(f"{reason}: end")
            return False
        self._restarts -= 1
        _say(f"{reason}: starting {what} again ({self._restarts} restarts left)")
        return True

    def _run_once(self) -> tuple[Ending, str]:
        self._tasks = _tasks(self._workers, self._servers)
        _say(
            f"{', '.join(map(str, self._tasks))} on the loopback interface;"
            " TensorFlow's servers listen on every interface, whatever address they are"
            " given, and ask for no password: use a machine that only you reach, or a"
            " firewall"
        )
        self._processes, self._readers = {}, []
        with lost.heard() as self._lost:
            try:
                for name in self._tasks:
                    self._start(name)
                killed = self._wait()
                for reader in self._readers:
                    reader.join()
            finally:
                self._kill_all()
            return self._judge(killed)

    def _start(self, name: str) -> None:
        cores = max(1, len(available_cores()) // self._workers)
        environment = {
            "TF_NUM_INTRAOP_THREADS": str(cores),
            **os.environ,
            "TF_CONFIG": self._tasks[name].to_tf_config(),
            "PYTHONUNBUFFERED": "1",
            **self._lost.environment,
        }
        process = subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=(self._lost.writing,),
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        self._processes[name] = process
        reader = threading.Thread(target=_repeat, args=(f"[{name}] ", process))
        self._readers.append(reader)
        reader.start()

    def _wait(self) -> set[str]:
        """Waits for all; returns the names of those that had to be killed."""
        deadline = float("inf")
        while running := self._running():
            if self._servers:
                self._bring_workers_back()
            if self._asked_to_stop or self._is_ending(running):
                deadline = min(deadline, time.monotonic() + self._patience)
            statuses = {name: p.returncode for name, p in self._processes.items()}
            if any(status in _FOR_GOOD for status in statuses.values()):
                deadline = min(deadline, time.monotonic() + 1)
            if statuses.get("chief") == EXIT_DONE:
                deadline = min(deadline, time.monotonic() + _FAREWELL)
            if time.monotonic() > deadline or self._asked_to_stop > 1:
                killed = set(self._running())
                self._kill_all()
                return killed
            time.sleep(_LOOK)
        return set()

    def _is_ending(self, running: Collection[str]) -> bool:
        """Whether a task has ended without which the others cannot go on for long."""
        ended = self._tasks.keys() - set(running)
        if not self._servers:
            return bool(ended)
        jobs = [self._tasks[name].job for name in ended]
        return jobs.count("worker") < len(jobs) or len(jobs) == self._workers

    def _running(self) -> list[str]:
        return [name for name, p in self._processes.items() if p.poll() is None]

    def _bring_workers_back(self) -> None:
        """Starts workers that died again, as long as there is a chief for them."""
        for name, process in list(self._processes.items()):
            status = process.poll()
            died = status is not None and status < 0 and name.startswith("worker")
            alone = any(
                self._processes[other].poll() is not None
                for other, task in self._tasks.items()
                if task.job != "worker"
            )
            if died and not alone and not self._asked_to_stop:
                signal_name = signal.Signals(-process.returncode).name
                if self._restarts and self._may_start_again(
                    f"{name} died of {signal_name}", "it"
                ):
                    self._start(name)

    def _judge(self, killed: Collection[str]) -> tuple[Ending, str]:
        """What the exit statuses mean, and why."""
        statuses = {name: p.returncode for name, p in self._processes.items()}
        for name, status in statuses.items():
            if status in _FOR_GOOD and name not in killed:
                return Ending(status), f"{name} ended with status {status}"
        if statuses.get("chief") == EXIT_DONE:
            return Ending.DONE, "done"
        for name, status in statuses.items():
            if name in killed:
                return Ending.LOST, f"{name} hung, and was killed"
            if status < 0:
                return Ending.LOST, f"{name} died of {signal.Signals(-status).name}"
        if self._lost.was_told():
            return Ending.LOST, "a task was lost"
        if any(status == EXIT_INTERRUPTED for status in statuses.values()):
            return Ending.PAUSED, "paused"
        return Ending.DONE, "done"

    def _kill_all(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in self._processes.values():
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
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)


_FOR_GOOD = (EXIT_FAILED, EXIT_USER_MISTAKE)


def _tasks(workers: int, servers: int) -> dict[str, Cluster]:
    """The tasks by name, on free ports."""
    chiefs = 1 if servers else 0
    ports = _free_ports(workers + servers + chiefs)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    ours, theirs = tuple(addresses[:workers]), tuple(addresses[workers:])
    if not servers:
        return {f"worker {i}": Cluster(ours, i) for i in range(workers)}
    chief, held = theirs[0], theirs[1:]
    made = {"chief": Cluster(ours, 0, held, chief, "chief")}
    for i in range(servers):
        made[f"ps {i}"] = Cluster(ours, i, held, chief, "ps")
    for i in range(workers):
        made[f"worker {i}"] = Cluster(ours, i, held, chief, "worker")
    return made


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
