"""From a kind of failure to the line that the user reads, and the exit status."""

import sys
from collections.abc import Callable

from base import errors


def guarded(command: Callable[[], int]) -> int:
    """Runs a command; a failure that has a status of its own becomes it, in one line.

    Anything else is a bug of Atelier's, and passes with its traceback.
    """
    try:
        return command()
    except errors.UserError as error:
        status = errors.EXIT_USER_MISTAKE
        line = str(error)
    except errors.Interrupted as error:
        status = errors.EXIT_INTERRUPTED
        line = str(error)
    except (errors.TrainingFailed, errors.ExportRefused) as error:
        status = errors.EXIT_FAILED
        line = str(error)
    print(f"atelier: {line}", file=sys.stderr)
    return status
