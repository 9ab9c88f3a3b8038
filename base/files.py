"""Files that are whole or not there, whatever happens to the process or the machine.

Everything the run folder keeps is written by these functions: aside, flushed to the
disk, renamed, and the folder's own entry flushed too.
"""

import contextlib
import errno
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

from base.errors import DiskFailure

DISK_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Replaces the file at `path` by `content`, or leaves it as it was."""
    with _aside(path) as temporary, open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: pathlib.Path, content: str) -> None:
    """Replaces the UTF-8 text file at `path` by `content`, or leaves it as it was."""
    write_bytes(path, content.encode())


def write_json(path: pathlib.Path, value: Any) -> None:
    """Replaces the JSON file at `path` by `value`, or leaves it as it was."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: pathlib.Path) -> Any:
    """What `write_json` wrote."""
    return json.loads(path.read_text())


@contextlib.contextmanager
def disk_failures_named(folder: str) -> Iterator[None]:
    """Within it a disk that can no longer be written interrupts the run.

    Raises:
      DiskFailure: it is full, over quota, read-only or broken.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FAILURES:
            raise
        raise DiskFailure(
            f"{folder} cannot be written any more ({error.strerror}); the checkpoints"
            " there are whole: make room, and the same command goes on"
        ) from error


def sync_file(path: pathlib.Path) -> None:
    """Flushes the content of a file that some library wrote."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: pathlib.Path) -> None:
    """Flushes the names in a folder: a rename is lasting only after this."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _aside(path: pathlib.Path) -> Iterator[str]:
    """A temporary name beside `path` that takes its place if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        os.chmod(temporary, 0o666 & ~_umask())
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
