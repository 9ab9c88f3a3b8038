"""What runs inside a trial's process: limits first, then the command `train`.

The process that forks it has imported TensorFlow but not started it: no device, no
thread pool, no lock of its runtime exists yet, so that each trial starts its own.
"""

import multiprocessing
import os
import pathlib
import resource
import signal
import sys
import threading
from collections.abc import Callable, Collection, Sequence

from app import caches, exit_status, tf_startup
from app.configs import flags
from app.configs.commands import TrainConfig
from app.distribution import cluster

# Imported ahead of time by the process that trials are forked from.
PRELOADED = ("app.searching.trial", "app.searching.preloaded")
# `atelier train`: trains as its flags say, and returns the exit status. A function of a
# module, which its process imports.
Train = Callable[[TrainConfig], int]
_GB = 10**9


def train(
    command: Train,
    arguments: Sequence[str],
    log: pathlib.Path,
    failure: pathlib.Path,
    cores: Collection[int],
    gpus: str | None,
    memory_gb: float | None,
) -> None:
    """Trains one trial and exits with the command's exit status.

    Args:
      command: that trains.
      arguments: its flags.
      log: takes what is printed.
      failure: takes `kind` and `message` of what ended it before its end. A mistake in
        its flags is found before there is a run folder, which could say so.
      cores: that it may use; empty leaves all.
      gpus: value of CUDA_VISIBLE_DEVICES, or None to leave it.
      memory_gb: most memory it may take.
    """

    def work() -> int:
        config = flags.parse(TrainConfig, arguments)
        tf_startup.import_tensorflow()
        caches.keep_file_facts()
        return command(config)

    def guarded() -> int:
        return exit_status.guarded(work, lambda error: _write(failure, error))

    _run(guarded, log, cores, gpus, memory_gb)


def rehearse(arguments: Sequence[str], log: pathlib.Path, answer: pathlib.Path) -> None:
    """Opens the data and builds the model of one configuration, without training.

    Writes to `answer` which way each tag of its metrics.jsonl is better, and which one
    tells the best epoch: `directions` and `monitor`. Where the flags do not fit the
    data, exits with 2 and writes the failure.
    """
    _run(lambda: _rehearse(arguments, answer), log, (), None, None)


def _rehearse(arguments: Sequence[str], answer: pathlib.Path) -> int:
    from app.reporting import metrics
    from base import files
    from base.errors import EXIT_DONE, EXIT_USER_MISTAKE, UserError

    tf_startup.import_tensorflow()
    from app.runs import assembly

    try:
        parts = assembly.build_parts(flags.parse(TrainConfig, arguments))
    except UserError as error:
        print(f"atelier: {error}", file=sys.stderr)
        _write(answer, error)
        return EXIT_USER_MISTAKE
    directions: dict[str, str | None] = {
        f"{split}/{metric.name}": metric.direction
        for split in ("train", *parts.validation)
        for metric in parts.network.metrics.declared
    }
    directions |= {name: told.direction for name, told in metrics.OF_EVERY_RUN.items()}
    monitor = f"validation/{parts.network.task.monitor}"
    files.write_json(answer, {"directions": directions, "monitor": monitor})
    return EXIT_DONE


def _write(path: pathlib.Path, error: Exception) -> None:
    from app.runs.failures import failure_of
    from base import files

    files.write_json(path, failure_of(error))


def _run(
    work: Callable[[], int],
    log: pathlib.Path,
    cores: Collection[int],
    gpus: str | None,
    memory_gb: float | None,
) -> None:
    _end_with_parent()
    # A Ctrl-C reaches the whole group; the search passes a signal on by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _redirect(log)
    # The tasks that the environment may name are at work on the search, not on a run.
    cluster.stand_alone(os.environ)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    if memory_gb is not None:
        limit = int(memory_gb * _GB)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    sys.exit(work())


def _redirect(log: pathlib.Path) -> None:
    """Lets standard output and error, C++'s too, go to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


def _end_with_parent() -> None:
    """Pauses the run, as SIGTERM does, when the search that started it dies."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
