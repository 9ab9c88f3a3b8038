"""Why a command has failed, as a program reads it: `failure` in results.json.

Every ending but a kill has a kind and a message, by the type of what was raised, never
by what it said. A process that is killed writes nothing: its signal has to tell.
"""

import contextlib
import errno
import sys
from collections.abc import Iterator

from app.runs.folder import RunFolder
from app.runs.results import Results
from base.errors import Interrupted, TrainingFailed, UserError
from base.files import DISK_FAILURES

USER_MISTAKE = UserError.kind
OUT_OF_MEMORY = "out_of_memory"
INTERNAL = "internal"
DISK_FULL = "disk_full"
_LONGEST = 300


def failure_of(error: BaseException) -> dict[str, str]:
    """`kind` and `message`, one line, of what ended a command."""
    if isinstance(error, UserError | Interrupted | TrainingFailed):
        return {"kind": error.kind, "message": _line(str(error))}
    kind = INTERNAL
    if _is_lack_of_memory(error):
        kind = OUT_OF_MEMORY
    elif isinstance(error, OSError) and error.errno in DISK_FAILURES:
        kind = DISK_FULL
    return {"kind": kind, "message": _line(f"{type(error).__name__}: {error}")}


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]


def _is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    tensorflow = sys.modules.get("tensorflow")  # without it none of its errors
    return tensorflow is not None and isinstance(
        error, tensorflow.errors.ResourceExhaustedError
    )


@contextlib.contextmanager
def recorded(folder: RunFolder) -> Iterator[None]:
    """Within it what ends a run before its end is written into its results.json.

    A mistake in a command is no ending of the run that it names: the run is left as it
    was. For who holds the folder.
    """
    try:
        yield
    except Exception as error:
        failure = failure_of(error)
        if failure["kind"] != USER_MISTAKE and folder.flags.exists():
            state = "interrupted" if isinstance(error, Interrupted) else "failed"
            # What ended the run may be the very disk.
            with contextlib.suppress(OSError, UserError):
                results = Results.read(folder)
                results.fail(state, failure)
                results.write(folder)
        raise
