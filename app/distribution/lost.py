"""Tells the launcher that exit status 75 stands for a lost task, not for a pause.

What was paused stays so; what was lost is started again. The exit status is the same,
as in both cases the same command goes on, so the launcher hears of it by a pipe.
"""

import contextlib
import os
from collections.abc import Iterator

_VARIABLE = "ATELIER_LOSS_PIPE"


class Pipe:
    """The launcher's end: what its processes inherit, and what they said."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)

    @property
    def environment(self) -> dict[str, str]:
        """What tells the processes which descriptor it is."""
        return {_VARIABLE: str(self.writing)}

    def was_told(self) -> bool:
        """Whether one of them lost a task."""
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._reading, 1))
        return False

    def close(self) -> None:
        """Closes both ends."""
        os.close(self._reading)
        os.close(self.writing)


@contextlib.contextmanager
def heard() -> Iterator[Pipe]:
    """A pipe for one start of the processes."""
    pipe = Pipe()
    try:
        yield pipe
    finally:
        pipe.close()


def tell_launcher() -> None:
    """In a process that loses a task; nothing if no launcher started it."""
    if number := os.environ.get(_VARIABLE):
        with contextlib.suppress(OSError):
            os.write(int(number), b"1")
