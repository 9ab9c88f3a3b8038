"""`environment.json`: on what, with what and by which command a run was made.

No environment variables: they hold secrets.
"""

import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import psutil

PACKAGES = (
    "tensorflow",
    "keras",
    "keras-tuner",
    "tensorflow-datasets",
    "tensorboard",
    "absl-py",
    "h5py",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "pillow",
    "pyarrow",
    "array_record",
)
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def describe(command: Sequence[str] | None = None) -> dict[str, Any]:
    """The contents of `environment.json`, as plain JSON values.

    Args:
      command: the command line's words; those of this process by default.
    """
    return {
        "command": shlex.join(sys.argv if command is None else command),
        "working_directory": os.getcwd(),
        "code": source_version(SOURCE),
        "python": platform.python_version(),
        "packages": package_versions(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu": cpu(),
        "memory_bytes": psutil.virtual_memory().total,
        "devices": devices(),
    }


def package_versions() -> dict[str, str | None]:
    """Versions of the libraries that results depend on; None where not installed."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def source_version(folder: pathlib.Path) -> dict[str, Any]:
    """`commit` of the checkout that `folder` is the root of, and whether it is `dirty`.

    Both are None outside a git checkout, as after an installation into site-packages.
    Files that git does not know of do not make it dirty.
    """
    root = _git(folder, "rev-parse", "--show-toplevel")
    if root is None or pathlib.Path(root).resolve() != folder.resolve():
        return {"commit": None, "dirty": None}
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": _git(folder, "rev-parse", "--verify", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }


def cpu() -> dict[str, Any]:
    """The processor's `model`, its `cores` and `threads`, and how many are `usable`."""
    return {
        "model": _cpu_model(),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "usable": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else psutil.cpu_count(),
    }


def devices() -> list[dict[str, str]]:
    """TensorFlow's physical devices: `name`, `kind` and, of a GPU, its `model`."""
    import tensorflow as tf

    found = []
    for device in tf.config.list_physical_devices():
        described = {"name": device.name, "kind": device.device_type}
        if device.device_type == "GPU":
            details = tf.config.experimental.get_device_details(device)
            described["model"] = str(details.get("device_name", "unknown"))
        found.append(described)
    return found


def _git(folder: pathlib.Path, *arguments: str) -> str | None:
    """What git prints; None if there is no git, no checkout, or it takes too long."""
    try:
        ran = subprocess.run(
            # The index is not refreshed on disk: a run leaves the checkout alone.
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.strip()


def _cpu_model() -> str:
    """The processor's name, from Linux' own listing where there is one."""
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
