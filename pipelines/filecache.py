"""What is known of files that were read before, so that they need not be read again.

A file counts as unchanged if its path, size, device, inode and the times of its last
change (of its contents, and of its entry) are what they were. That is the word of the
file system: whoever can write a file without a trace there is believed. A cache can be
removed at any time; a damaged one is left aside and written anew.
"""

import concurrent.futures
import hashlib
import io
import os
import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from base import files
from base.cores import available_cores

# Of each example or file: the digest of what identifies it, its SHA-256, its header.
FACTS = np.dtype([("key", "V16"), ("sha256", "V32"), ("header", "<i4", 4)])
# Below so many bytes, and so many files, reading them all takes no time.
WORTHWHILE_BYTES, WORTHWHILE_COUNT = 64 * 2**20, 5000
# A file changed within the clock's coarseness of being read may change again unseen.
_SETTLED_NS = 2 * 10**9
_MAGIC = b"atelier file facts 1\n"
_DIGEST = 32
_PATHS_AT_ONCE = 1024
_NONE = np.zeros(0, FACTS)
_folder: Path | None = None


def keep_in(folder: Path) -> None:
    """Has what is known kept in files in `folder`; until then nothing is kept."""
    global _folder
    _folder = folder


class Identities:
    """Keys of many things that are to be read.

    Attributes:
        keys: V16 [n]; equal to an earlier one only if nothing has changed.
        settled: bool [n]: last changed long enough ago to be remembered.
        size: bytes of all.
    """

    def __init__(self, keys: np.ndarray, settled: np.ndarray, size: int) -> None:
        self.keys = keys
        self.settled = settled
        self.size = size


def identify(paths: Sequence[str]) -> Identities:
    """Identities of files, as they are now; the file system is asked in parallel.

    Raises:
        OSError: one cannot be looked at.
    """
    now = time.time_ns()
    starts = range(0, len(paths), _PATHS_AT_ONCE)
    with concurrent.futures.ThreadPoolExecutor(len(available_cores())) as pool:
        found = pool.map(
            lambda start: [
                _identity(path, now) for path in paths[start : start + _PATHS_AT_ONCE]
            ],
            starts,
        )
        rows = [row for part in found for row in part]
    keys = _keys(row[0] for row in rows)
    settled = np.array([row[1] for row in rows], bool)
    return Identities(keys, settled, sum(row[2] for row in rows))


def identify_parts(path: str, places: np.ndarray) -> Identities:
    """Identities of parts of one file.

    Args:
        path: of the file.
        places: int64 [n, k], what tells the parts apart, such as offset and size.
    """
    whole, settled, size = _identity(path, time.time_ns())
    rows = np.ascontiguousarray(places, "<i8").reshape(len(places), -1)
    keys = _keys(
        hashlib.blake2b(whole + row.tobytes(), digest_size=16).digest() for row in rows
    )
    return Identities(keys, np.full(len(keys), settled), size)


def _keys(digests: Iterable[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(digests), FACTS["key"])


def _identity(path: str, now: int) -> tuple[bytes, bool, int]:
    status = os.stat(path)
    facts = struct.pack(
        "<qqqqq",
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )
    key = hashlib.blake2b(facts + os.fsencode(os.path.abspath(path)), digest_size=16)
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    return key.digest(), changed + _SETTLED_NS < now, status.st_size


class FileCache:
    """The facts of one dataset's files, in a file of their own."""

    def __init__(self, dataset: str | Path) -> None:
        """Reads what there is; nothing if it is damaged or cannot be read."""
        name = hashlib.sha256(os.fsencode(os.path.abspath(dataset))).hexdigest()
        self._path = None if _folder is None else _folder / f"{name[:32]}.facts"
        self._facts = _NONE if self._path is None else _read(self._path)

    def find(self, identities: Identities) -> tuple[np.ndarray, np.ndarray]:
        """What is known: bool [n], and FACTS [n], which hold where it is true."""
        found = np.zeros(len(identities.keys), FACTS)
        found["key"] = identities.keys
        if not len(self._facts):
            return np.zeros(len(found), bool), found
        wanted = _sortable(identities.keys)
        held = _sortable(self._facts["key"])
        order = np.argsort(held)
        places = np.searchsorted(held, wanted, sorter=order)
        rows = order[np.minimum(places, len(order) - 1)]
        known = held[rows] == wanted
        found[known] = self._facts[rows[known]]
        return known, found

    def save(self, identities: Identities, facts: np.ndarray) -> None:
        """Replaces the cache by these facts, where they may be remembered at all.

        A cache is no more than a cache: one that cannot be written is not.
        """
        many = len(identities.keys) >= WORTHWHILE_COUNT
        small = identities.size < WORTHWHILE_BYTES and not many
        if self._path is None or small:
            return
        buffer = io.BytesIO()
        np.save(buffer, facts[identities.settled], allow_pickle=False)
        contents = buffer.getvalue()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            digest = hashlib.sha256(contents).digest()
            files.write_bytes(self._path, _MAGIC + digest + contents)
        except OSError:
            return


def _read(path: Path) -> np.ndarray:
    try:
        contents = path.read_bytes()
        start = len(_MAGIC) + _DIGEST
        digest = hashlib.sha256(memoryview(contents)[start:]).digest()
        if contents[:start] == _MAGIC + digest:
            facts = np.load(io.BytesIO(contents[start:]), allow_pickle=False)
            if facts.dtype == FACTS and facts.ndim == 1:
                return facts
    except (OSError, ValueError):
        pass  # there is none, or none that can be read
    return _NONE


def _sortable(keys: np.ndarray) -> np.ndarray:
    """Keys as byte strings, which NumPy sorts; all have the same length."""
    return np.ascontiguousarray(keys).view("S16")
