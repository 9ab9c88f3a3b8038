"""Real processes for tests: forked from one that has imported everything, so quick.

A process runs a command as the console script does, and can be killed like any other.
"""

import contextlib
import json
import multiprocessing
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from app.reporting.events import read_events, tags_of

# How long any single command of a test may take, in seconds.
PATIENCE = 240

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["app.main", "app.runs.train", "app.serving.exporting"])

# What differs between two starts of the same run, and may.
TIMINGS = ("seconds", "examples_per_second", "input_wait", "peak_memory_bytes")


class Command:
    """A command in a process of its own.

    Args:
      arguments: of `atelier`.
      log: file that receives what it prints.
      prepare: called in the process before the command, to watch or to break it; a
        function of a module.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: pathlib.Path,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._log = log
        log.unlink(missing_ok=True)
        self._process = _context.Process(
            target=_run, args=(list(arguments), str(log), prepare)
        )
        # The server imports Atelier where it is first asked: there, and not beside a
        # file models.py of a test's user.
        with contextlib.chdir(pathlib.Path(__file__).parents[1]):
            self._process.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process.pid is not None
        return self._process.pid

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; nothing if the process has ended."""
        if self.is_running():
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Waits for the end; the exit status, or minus the signal's number."""
        self._process.join(PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(f"no end after {PATIENCE} s:\n{self.output()}")
        return self._process.exitcode

    def output(self) -> str:
        """What it printed so far."""
        return self._log.read_text() if self._log.exists() else ""

    def wait_for(self, condition: Callable[[], Any]) -> bool:
        """Waits until `condition` holds (True) or the process has ended (False)."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if condition():
                return True
            if not self.is_running():
                return bool(condition())
            time.sleep(0.001)
        raise AssertionError(f"nothing after {PATIENCE} s:\n{self.output()}")


def _run(arguments: list[str], log: str, prepare: Callable[[], None] | None) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from app.main import main

    if prepare is not None:
        prepare()
    sys.exit(main(arguments))


def outcome(run_dir: pathlib.Path) -> dict[str, Any]:
    """All of a finished run that has to be equal however often it was killed."""
    results = json.loads((run_dir / "results.json").read_text())
    lines = [
        {name: value for name, value in json.loads(line).items() if name not in TIMINGS}
        for line in (run_dir / "metrics.jsonl").read_text().splitlines()
    ]
    events = sorted(
        (tag, event.step)
        for path in (run_dir / "tensorboard").glob("events.out.tfevents.*")
        for event in read_events(path)
        for tag in tags_of(event)
    )
    kept = ("state", "steps", "epochs", "best", "validation", "weights_sha256")
    found = {name: results[name] for name in kept}
    return {"lines": lines, "tensorboard": events, **found}
