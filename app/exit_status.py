"""From a kind of failure to the line that the user reads, and the exit status."""

import sys
from collections.abc import Callable

from base import errors


def guarded(
    command: Callable[[], int],
    on_failure: Callable[[Exception], None] = lambda error: None,
) -> int:
    """Runs a command; a failure that has a status of its own becomes it, in one line.

    Anything else is a bug of Atelier's, and passes with its traceback.

    Args:
      command: returns its exit status.
      on_failure: told what ended the command, before it is said or raised.
    """
    try:
        return command()
    except Exception as error:
        on_failure(error)
        status = _status_of(error)
        if status is None:
            raise
        print(f"atelier: {error}", file=sys.stderr)
        return status


def _status_of(error: Exception) -> int | None:
    match error:
        case errors.UserError():
            return errors.EXIT_USER_MISTAKE
        case errors.Interrupted():
            return errors.EXIT_INTERRUPTED
        case errors.TrainingFailed() | errors.ExportRefused():
            return errors.EXIT_FAILED
    return None
