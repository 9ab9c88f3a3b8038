"""One process at work on a search: takes jobs, trains each in a process, reports.

Read `Agent.work` first.
"""

import dataclasses
import pathlib
import shutil
import signal
import time
import types
from collections.abc import Callable
from typing import Any

from app.configs.commands import TuneConfig
from app.searching import checks, outcomes
from app.searching.folder import AgentMark, SearchFolder
from app.searching.processes import Process, Starter, wait_for_any
from base.errors import Interrupted, UserError
from tuning.objective import Objective
from tuning.runs import Outcome, TrialRun
from tuning.search import Job, Search, Wait

# Seconds between looks at what other machines have done.
_LOOK_EVERY = 0.5
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@dataclasses.dataclass
class _Running:
    """A job in its process."""

    job: Job
    process: Process
    asked_to_pause: bool = False


class Agent:
    """Works on a search with some processes at a time.

    Args:
      config: of the search.
      folder: of the search.
      search: its jobs.
      objective: what is to be best.
      mark: the mark that this process is at work.
      threads: of each operation of a trial.
      tell: told of each run that has ended or paused.
    """

    def __init__(
        self,
        *,
        config: TuneConfig,
        folder: SearchFolder,
        search: Search,
        objective: Objective,
        mark: AgentMark,
        starter: Starter,
        threads: int,
        tell: Callable[[TrialRun], None],
    ) -> None:
        self._config = config
        self._folder = folder
        self._search = search
        self._objective = objective
        self._mark = mark
        self._starter = starter
        self._threads = threads
        self._tell = tell
        self._slots: list[_Running | None] = [None] * config.agent.workers
        self._signal: signal.Signals | None = None

    def work(self) -> None:
        """Works until there is nothing left to do.

        Raises:
          Interrupted: a signal asked for it; all trials were paused.
        """
        before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        try:
            while self._step():
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._kill_all()
        if self._signal is not None:
            raise Interrupted(
                f"{self._signal.name} received; the trials are saved in"
                f" {self._folder.path}: the same command goes on"
            )

    def _step(self) -> bool:
        """Collects what has ended, starts what there is room for; False at the end."""
        for slot, running in enumerate(self._slots):
            if running is not None and not running.process.is_alive():
                self._slots[slot] = None
                self._collect(running)
        over = self._signal is not None
        if over:
            self._pause_all()
        else:
            over = self._fill() is None
        busy = [running.process for running in self._slots if running is not None]
        if busy:
            wait_for_any(busy, _LOOK_EVERY)
        elif not over:
            time.sleep(_LOOK_EVERY)
        return bool(busy) or not over

    def _fill(self) -> Job | Wait | None:
        """Starts jobs in the free slots; what the last claim gave."""
        answer: Job | Wait | None = Wait()
        for slot, running in enumerate(self._slots):
            while running is None and self._slots[slot] is None:
                answer = self._search.claim(self._mark.name, self._mark.is_gone)
                if not isinstance(answer, Job):
                    return answer
                self._begin(slot, answer)
        return answer

    def _begin(self, slot: int, job: Job) -> None:
        """Starts a job, unless it was done before a kill, or cannot be."""
        folder = self._folder.trial(job.run)
        done = outcomes.already(folder, self._objective, job.until)
        if done is not None:
            self._report(job, done)
            return
        try:
            arguments = self._arguments(job)
        except UserError as error:
            reason = f"invalid flags: {error}"
            self._report(job, Outcome("failed", [], 0.0, 0.0, reason))
            return
        log, failure = self._folder.log(job.run), self._folder.failure(job.run)
        failure.unlink(missing_ok=True)  # of an earlier start
        process = self._starter.start(slot, arguments, log, failure)
        self._slots[slot] = _Running(job, process)

    def _arguments(self, job: Job) -> list[str]:
        own: dict[str, Any] = {
            "run_dir": str(self._folder.trial(job.run).path),
            "seed": self._config.training.seed + job.seed_offset,
            "threads": self._threads,
            "figures": False,  # a quarter of a short trial; see reports.write_all
            "progress": "lines",
        }
        epochs = job.flags.get("epochs", self._config.training.epochs)
        if job.until is not None and job.until < epochs:
            own["stop_after"] = job.until
        return checks.trial_arguments(self._config, job.flags, **own)

    def _collect(self, running: _Running) -> None:
        """Reports a job whose process has ended."""
        job, process = running.job, running.process
        process.join()
        assert process.exitcode is not None
        outcome = outcomes.of_exit(
            self._folder.trial(job.run),
            self._objective,
            job.until,
            process.exitcode,
            self._folder.failure(job.run),
        )
        process.close()
        if running.asked_to_pause and outcome.state in ("died", "failed"):
            outcome = dataclasses.replace(outcome, state="interrupted", reason="")
        self._report(job, outcome)

    def _report(self, job: Job, outcome: Outcome) -> None:
        self._tell(self._search.report(job, outcome))
        self._remove_checkpoints_of_losers()

    def _remove_checkpoints_of_losers(self) -> None:
        """Keeps the disk flat: only what may still be needed has checkpoints."""
        ranked = [entry.run.name for entry in self._search.ranking()]
        kept = set(ranked[: self._config.search.keep]) | self._search.needed()
        for run in self._search.runs():
            if run.name not in kept and run.state in ("finished", "paused", "failed"):
                _remove(self._folder.trial(run.name).checkpoints)

    def _pause_all(self) -> None:
        for running in self._slots:
            if running is not None and not running.asked_to_pause:
                running.asked_to_pause = True
                running.process.terminate()

    def _kill_all(self) -> None:
        """After a failure of this process itself no trial is left behind."""
        for running in self._slots:
            if running is not None and running.process.is_alive():
                running.process.terminate()
                running.process.join()

    def _receive(self, number: int, _: types.FrameType | None) -> None:
        self._signal = signal.Signals(number)


def _remove(folder: pathlib.Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
