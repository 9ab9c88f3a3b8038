"""A lock beside what is being written, which the kernel gives up with its process."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from base.errors import UserError


@contextlib.contextmanager
def alone(output: Path, flag: str) -> Iterator[None]:
    """Within it no other process is: the second one is refused.

    Args:
        output: what is to be written; the lock stands beside it.
        flag: that named it.

    Raises:
        UserError: another process is within.
    """
    path = output.with_name(f".{output.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(path, "a+") as file:
            if holder := holder_of(file):
                raise UserError(
                    f"{flag}={output} is being written by {holder}; wait for it to "
                    "end, or name another."
                )
            if not _is_at(file.fileno(), path):
                continue  # its last holder removed it between our opening and locking
            try:
                yield
            finally:
                path.unlink()
            return


def holder_of(file: TextIO) -> str | None:
    """Locks a file, open in mode `a+`, until it is closed.

    Returns:
        None, or the process that holds it already.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        return file.read().strip() or "another process"
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
