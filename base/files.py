"""Files that are whole or not there, whatever happens to the process or the machine.

Everything that is kept is written by these functions: aside, flushed to the disk,
renamed, and the folder's own entry flushed too. And what tells that a file is the same.
"""

import contextlib
import errno
import hashlib
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
    with aside(path) as temporary:
        temporary.write_bytes(content)


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
def aside(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file to be written beside `path`, which takes its place if all goes well.

    Its name begins with a dot and the name of `path`. Within it nothing is at `path`
    but what was there before; after it the new content is on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = pathlib.Path(name)
    try:
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        sync_file(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move(source: pathlib.Path, target: pathlib.Path) -> None:
    """Renames a file or a folder, whose content was flushed, for good.

    Raises:
      OSError: what is at `target` cannot be replaced, such as a folder that holds
        something.
    """
    os.replace(source, target)
    sync_folder(target.parent)


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


def sha256_of(path: pathlib.Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_and_sha256(path: pathlib.Path) -> dict[str, Any]:
    """What a manifest says of a file: `bytes` and `sha256`."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
