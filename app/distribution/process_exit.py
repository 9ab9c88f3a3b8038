"""How a process leaves that its libraries would hold back: at once, with its status."""

import os
import sys

_at_once = False


def take_nothing_down() -> None:
    """From now on `leave` ends the process without taking Python or TensorFlow down.

    Other workers, which may have left, would be waited for. And ClusterCoordinator's
    destructor waits for a lock that its own thread holds while it waits for a worker
    that is away; that thread is gone when Python takes itself down, and the lock too.
    """
    global _at_once
    _at_once = True


def leave(status: int) -> int:
    """The status that the process shall end with; does so itself after the above."""
    if _at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
