"""Version folders that are whole or not there: made aside, flushed, renamed.

A server that polls `export/` loads a version as soon as its number appears, so nothing
is ever written there: versions come by one rename.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

from base import files

_PREFIX = ".export-"
_LOCK = "lock"
_NUMBER = re.compile(r"[0-9]+")


def versions(folder: pathlib.Path) -> list[int]:
    """Numbers of the versions in `folder`, ascending."""
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir())
    return sorted(int(name) for name in names if _NUMBER.fullmatch(name))


@contextlib.contextmanager
def staging(run_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder of this process in the run folder; removed at the end.

    What killed processes left is removed first; their locks died with them.
    """
    _clean(run_dir)
    place = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=run_dir))
    with open(place / _LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def publish(version: pathlib.Path, exports: pathlib.Path) -> pathlib.Path:
    """Moves a finished folder to the next free number in `exports`; returns it.

    Two processes that publish at once get two numbers: a rename onto a folder that
    holds something fails.
    """
    _sync_tree(version)
    exports.mkdir(exist_ok=True)
    number = max(versions(exports), default=0) + 1
    while True:
        final = exports / str(number)
        try:
            files.move(version, final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            number += 1
            continue
        files.sync_folder(exports.parent)
        return final


def _sync_tree(folder: pathlib.Path) -> None:
    """Flushes every file in a folder, and every folder, to the disk."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            files.sync_file(pathlib.Path(place) / name)
        files.sync_folder(pathlib.Path(place))


def _clean(run_dir: pathlib.Path) -> None:
    for place in run_dir.glob(f"{_PREFIX}*"):
        # A folder without a lock file belongs to a process that is about to make one.
        with contextlib.suppress(OSError), open(place / _LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
