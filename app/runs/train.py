"""A training run from its folder to its results: what `atelier train` does.

Everything that can be wrong with the flags or the data is found before the folder is
touched. Read `train` first.
"""

import contextlib
import dataclasses
import os
import pathlib
from typing import Any

from app.configs.commands import TrainConfig
from app.distribution import servers, strategies
from app.distribution.cluster import Cluster, from_environment
from app.reporting import summary
from app.runs import answers, failures, precision
from app.runs.assembly import build_parts
from app.runs.folder import RunFolder, Start, decide_start
from app.runs.numerics import contained, set_threads
from app.runs.run import Run
from app.runs.validation_sets import OWN
from base import files
from base.errors import Paused, UserError


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a start of a run came to.

    Attributes:
      state: `finished` or `interrupted`, as in results.json.
      told: what is left to say of it; empty where all is said.
    """

    state: str
    told: str = ""


def train(config: TrainConfig, *, ends_process: bool = False) -> Outcome:
    """Trains into the run folder, or goes on with the run in it.

    Args:
      config: the flags.
      ends_process: whether the process ends with it, as a command's does. Only such a
        one may be a task of a cluster, which ends with the others.

    Raises:
      UserError: the flags, the data or the folder are not fit; nothing was changed.
      Interrupted: the disk can no longer be written; the same command goes on.
      TrainingFailed: a value was not finite, or a record could not be read.
    """
    cluster = _cluster(config)
    if not ends_process and cluster.workers:
        raise UserError(
            "the environment (TF_CONFIG, SLURM) makes this process one of several that"
            " train together, which end together: expected the command for that,"
            " `atelier train`, or an environment that names this process alone"
        )
    # TensorFlow's state is no more touched where peers may have left.
    alone = contextlib.nullcontext() if cluster.workers else contained()
    try:
        with alone, files.disk_failures_named(str(config.run.run_dir)):
            return _train(config, cluster, ends_process)
    except Paused as pause:
        return Outcome("interrupted", str(pause))


def _train(config: TrainConfig, cluster: Cluster, ends_process: bool) -> Outcome:
    assert config.run.run_dir is not None  # RunConfig refuses a missing one
    folder = RunFolder(pathlib.Path(config.run.run_dir))
    if cluster.servers and not cluster.is_chief:
        strategies.require_fit(config.distribution, cluster)
        set_threads(config)
        servers.serve(cluster, config.distribution.peer_timeout, folder.is_finished)
    folder.require_writable()
    with contextlib.ExitStack() as held:
        changed: dict[str, list[Any]] = {}
        if folder.flags.exists():
            _hold(held, folder, cluster)
            config = precision.as_begun(config, folder)
            changed = folder.require_same_mathematics(config)
            if decide_start(folder, has_checkpoint=False) is Start.FINISHED:
                answers.settle(folder, cluster, None)
                return _finished_before(folder, cluster)
        is_new = not folder.flags.exists()
        run: Run | None = None
        timeout = config.distribution.peer_timeout
        with servers.failures_named(cluster, timeout, lambda: run):
            parts = build_parts(config, cluster)
            if is_new:
                _hold(held, folder, cluster)
            run = Run(folder, parts)
            run.go(changed, ends_process)
            answers.settle(folder, cluster, parts.validation[OWN])
    return Outcome("finished")


def _finished_before(folder: RunFolder, cluster: Cluster) -> Outcome:
    told = f"{folder.path} is finished: nothing to do.\n{summary.describe(folder.path)}"
    return Outcome("finished", told if cluster.is_chief else "")


def _cluster(config: TrainConfig) -> Cluster:
    """The tasks that the environment names."""
    wanted = config.distribution
    asynchronous = wanted.strategy == "parameter_server"
    return from_environment(os.environ, wanted.parameter_servers if asynchronous else 0)


def _hold(held: contextlib.ExitStack, folder: RunFolder, cluster: Cluster) -> None:
    """Locks the folder for its only writer; the other workers read it."""
    if cluster.is_chief:
        held.enter_context(folder.locked())
        held.enter_context(failures.recorded(folder))
