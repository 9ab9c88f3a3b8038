"""Which tests are quick, and a guard that keeps the others from passing for one.

A test that starts processes, exports a model or needs several workers says so by a mark
(pyproject.toml lists them); `make quick` leaves those out.
"""

import contextlib
import multiprocessing.process
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

# Marks of tests that may start processes.
PROCESSES = frozenset({"process", "export", "cluster"})
# Programs that answer at once, which a run asks about the machine that it is on.
_AT_ONCE = frozenset({"git", "fc-list", "lscpu", "nvidia-smi", "scontrol", "uname"})


class Unmarked(AssertionError):
    """A test did what only tests with a mark of their own may do."""


@contextlib.contextmanager
def guarded(marks: Sequence[str]) -> Iterator[None]:
    """Within it a test with these marks does what they say, and no more.

    Raises:
      Unmarked: it starts a process or exports a model, and no mark of it says so.
    """
    with contextlib.ExitStack() as guards:
        if not PROCESSES & {*marks}:
            for guard in _process_guards():
                guards.enter_context(guard)
        if "export" not in marks:
            guards.enter_context(_export_guard())
        yield


def _process_guards() -> Iterator[contextlib.AbstractContextManager[Any]]:
    popen = subprocess.Popen.__init__

    def start(self: Any, args: Any, *more: Any, **options: Any) -> None:
        program = args if isinstance(args, str | bytes | os.PathLike) else args[0]
        name = pathlib.Path(os.fsdecode(program)).name
        if name not in _AT_ONCE:
            raise Unmarked(_line(f"starts {name}", "process"))
        popen(self, args, *more, **options)

    yield mock.patch.object(subprocess.Popen, "__init__", start)
    process = multiprocessing.process.BaseProcess
    for owner, name in ((process, "start"), (os, "fork"), (os, "posix_spawn")):
        yield mock.patch.object(owner, name, _refused("starts a process", "process"))


def _export_guard() -> contextlib.AbstractContextManager[Any]:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:  # not imported for the guard alone
        return contextlib.nullcontext()
    refused = _refused("exports a model", "export")
    return mock.patch.object(tensorflow.saved_model, "save", refused)


def _refused(does: str, mark: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Unmarked(_line(does, mark))

    return refuse


def _line(does: str, mark: str) -> str:
    return f"this test {does}: mark it, or its file, with pytest.mark.{mark}"
