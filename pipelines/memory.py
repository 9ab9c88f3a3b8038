"""How much memory is free for cached data, and how freed memory is used again."""

import ctypes
import os
from pathlib import Path

_CACHE_FRACTION = 1 / 4
_CACHE_LIMIT = 2_000_000_000
# Of mallopt(3). A block up to the first is cut from the heap (its largest value); the
# heap is given back only where more than the second is free at its end.
_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP = -3, 32 * 2**20
_M_TRIM_THRESHOLD, _KEPT_FREE = -1, 512 * 2**20


def fits_in_memory(size: int) -> bool:
    """Whether `size` bytes of data should be cached without being asked for."""
    return size <= min(_CACHE_LIMIT, _CACHE_FRACTION * available_memory())


def available_memory() -> int:
    """Bytes that this process may still take, within its control group's limit."""
    return min(_available_on_host(), _available_in_group())


def keep_freed_blocks() -> None:
    """Has glibc keep what is freed, up to half a gigabyte, for what is needed next.

    Streams take and free large blocks for every image. By default glibc gives them back
    to the system, which clears each page anew: a tenth of the time of decoding and
    cropping photographs. Elsewhere than with glibc nothing happens.
    """
    mallopt = (
        getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    )
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)


def _available_on_host() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _available_in_group() -> int:
    """What a scheduler's or container's limit leaves (control groups, version 2)."""
    try:
        path = Path("/proc/self/cgroup").read_text().rpartition("::/")[2].strip()
        group = Path("/sys/fs/cgroup") / path
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            return int(limit) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        pass  # no such limit
    return 1 << 62
