"""Trials as processes of this machine: started, waited for, paused; cores divided."""

import contextlib
import glob
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from app import child_processes, tf_startup
from app.configs.searching import AgentConfig
from app.searching import trial
from base.cores import available_cores

Process = multiprocessing.process.BaseProcess


def get_ready(config: AgentConfig, train: trial.Train) -> None:
    """Begins to import TensorFlow in the process that trials are to be forked from.

    Returns at once: called before this process imports it too, both import it at once.
    """
    if _is_warm(config):
        tf_startup.set_environment()
        child_processes.find_rooms_first()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*trial.PRELOADED, train.__module__])
        # What libraries say when they are imported, this process hears as well.
        with _standard_error_to(os.devnull):
            multiprocessing.forkserver.ensure_running()


def _is_warm(config: AgentConfig) -> bool:
    return config.warm and sys.platform == "linux"


class Starter:
    """Starts trials, each in a process of its own.

    Warm, they are forked from one that has imported TensorFlow (Python's forkserver): a
    trial does not pay for the import, and still has a memory and a TensorFlow runtime
    of its own, which end with it.

    Args:
      config: of this machine's processes.
      train: the command that trains a trial.
    """

    def __init__(self, config: AgentConfig, train: trial.Train) -> None:
        get_ready(config, train)
        self._train = train
        self._context: Any = multiprocessing.get_context(
            "forkserver" if _is_warm(config) else "spawn"
        )
        self._memory_gb = config.trial_memory
        self._cores = shares(available_cores(), config.workers)
        self._gpus = shares(available_gpus(), config.workers)

    def start(
        self,
        slot: int,
        arguments: Sequence[str],
        log: pathlib.Path,
        failure: pathlib.Path,
    ) -> Process:
        """Starts to train on the share of a slot; see `trial.train`."""
        cores, gpus = self._cores[slot], self._gpus[slot]
        visible = ",".join(gpus) if gpus else None
        given = (list(arguments), log, failure, cores, visible, self._memory_gb)
        return self._started(trial.train, (self._train, *given))

    def rehearse(
        self, arguments: Sequence[str], log: pathlib.Path, answer: pathlib.Path
    ) -> int:
        """Tries flags on the data and the model; returns the exit status."""
        process = self._started(trial.rehearse, (list(arguments), log, answer))
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    def _started(self, target: Callable[..., None], arguments: Any) -> Process:
        process: Process = self._context.Process(
            target=target, args=arguments, daemon=True
        )
        process.start()
        return process


@contextlib.contextmanager
def _standard_error_to(path: str) -> Iterator[None]:
    """What a process started within it says goes to a file that is there."""
    sys.stderr.flush()
    before = os.dup(2)
    descriptor = os.open(path, os.O_WRONLY)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(descriptor)


def wait_for_any(processes: Sequence[Process], seconds: float) -> None:
    """Waits until one of the processes has ended, or so long."""
    multiprocessing.connection.wait([p.sentinel for p in processes], seconds)


def available_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]


def shares(things: Sequence[Any], workers: int) -> list[list[Any]]:
    """Things divided evenly; where there are fewer than workers, some share one."""
    if len(things) < workers:
        return [[things[i % len(things)]] if things else [] for i in range(workers)]
    size, rest = divmod(len(things), workers)
    starts = [worker * size + min(worker, rest) for worker in range(workers + 1)]
    return [list(things[starts[i] : starts[i + 1]]) for i in range(workers)]
