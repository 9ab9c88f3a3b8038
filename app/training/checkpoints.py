"""Durable checkpoints: a folder `step-N` that is whole, or is not there.

A checkpoint is written aside, each file and the folder flushed to the disk, then
renamed. Its manifest holds the size and SHA-256 of each file, and is checked before
anything is read. They are found by looking at the folder; there is no index to lose.
"""

import contextlib
import dataclasses
import json
import pathlib
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent import futures

import numpy as np

from app.training.state import Progress
from base import files
from base.errors import DiskFailure

_NAME = re.compile(r"step-(\d{10})")
_ARRAYS = "state.npz"
_PROGRESS = "progress.json"
_MANIFEST = "manifest.json"


class DamagedCheckpoint(Exception):
    """A checkpoint whose files are not what its manifest says; names the file."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A state at rest: arrays by name, and the progress."""

    arrays: Mapping[str, np.ndarray]
    progress: Progress


def steps_of(folder: pathlib.Path) -> list[int]:
    """Steps of the checkpoints in `folder`, ascending, whole or not."""
    if not folder.is_dir():
        return []
    matches = (_NAME.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def path_of(folder: pathlib.Path, step: int) -> pathlib.Path:
    """Where the checkpoint of `step` lies."""
    return folder / f"step-{step:010d}"


def save(folder: pathlib.Path, snapshot: Snapshot) -> pathlib.Path:
    """Writes a checkpoint; returns where it lies.

    Raises:
      OSError: it could not be written; the others are as they were.
    """
    final = path_of(folder, snapshot.progress.step)
    partial = folder / f".partial-{final.name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write_files(partial, snapshot)
        if final.exists():
            _remove(final)
        files.move(partial, final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def _write_files(partial: pathlib.Path, snapshot: Snapshot) -> None:
    with open(partial / _ARRAYS, "wb") as file:
        np.savez(file, allow_pickle=False, **snapshot.arrays)
    progress = json.dumps(snapshot.progress.to_json(), indent=2, allow_nan=False)
    (partial / _PROGRESS).write_text(progress + "\n")
    manifest = {n: files.size_and_sha256(partial / n) for n in (_ARRAYS, _PROGRESS)}
    (partial / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    for name in (_ARRAYS, _PROGRESS, _MANIFEST):
        files.sync_file(partial / name)
    files.sync_folder(partial)


def verify(path: pathlib.Path) -> None:
    """Compares a checkpoint's files with its manifest.

    Raises:
      DamagedCheckpoint: a file is missing, or is not the one that was written.
    """
    try:
        manifest = json.loads((path / _MANIFEST).read_text())
        expected = {name: manifest[name] for name in (_ARRAYS, _PROGRESS)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpoint(f"{path / _MANIFEST} cannot be read") from error
    for name, entry in expected.items():
        if not (path / name).is_file():
            raise DamagedCheckpoint(f"{path / name} is missing")
        if files.size_and_sha256(path / name) != entry:
            raise DamagedCheckpoint(f"{path / name} is not what was written")


def load(path: pathlib.Path) -> Snapshot:
    """Reads a checkpoint, and verifies it at the same time.

    Raises:
      DamagedCheckpoint: it is not whole.
    """
    with futures.ThreadPoolExecutor(1) as pool:
        verified = pool.submit(verify, path)
        try:
            return _read(path)
        finally:
            # Damage takes the place of whatever error it led to. What else goes wrong,
            # such as too little memory, does not make a whole checkpoint a damaged one.
            verified.result()


def _read(path: pathlib.Path) -> Snapshot:
    with np.load(path / _ARRAYS, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    progress = Progress.from_json(json.loads((path / _PROGRESS).read_text()))
    return Snapshot(arrays, progress)


def load_newest(folder: pathlib.Path, report: Callable[[str], None]) -> Snapshot | None:
    """The newest whole checkpoint, or None; each damaged one is reported by name."""
    steps = steps_of(folder)
    for i, step in reversed(list(enumerate(steps))):
        try:
            return load(path_of(folder, step))
        except DamagedCheckpoint as damage:
            before = steps[i - 1] if i else 0
            report(
                f"checkpoint of step {step} is damaged: {damage}; going back to step"
                f" {before}, {step - before} steps lost"
            )
    return None


def clean(folder: pathlib.Path) -> None:
    """Removes what a killed process left half-written or half-removed."""
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.name.startswith((".partial-", ".removed-")):
                shutil.rmtree(entry, ignore_errors=True)


def remove_after(folder: pathlib.Path, step: int) -> None:
    """Removes checkpoints beyond `step`: damaged ones that a resume passed over."""
    for later in steps_of(folder):
        if later > step:
            _remove(path_of(folder, later))


def keep_newest(folder: pathlib.Path, count: int, best_step: int) -> None:
    """Removes all checkpoints but the newest `count` and that of `best_step`."""
    for step in steps_of(folder)[:-count]:
        if step != best_step:
            _remove(path_of(folder, step))


def _remove(path: pathlib.Path) -> None:
    """Takes a checkpoint away in one rename, so that none is ever half there."""
    aside = path.with_name(f".removed-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    files.move(path, aside)
    shutil.rmtree(aside, ignore_errors=True)


class Writer:
    """Writes checkpoints in the background, one at a time, and keeps the newest.

    Args:
      folder: the run's `checkpoints`.
      keep: how many of the newest are kept, beside the best.
    """

    def __init__(self, folder: pathlib.Path, keep: int) -> None:
        self._folder = folder
        self._keep = keep
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def write(self, snapshot: Snapshot) -> None:
        """Starts to write a checkpoint; waits for the one before it.

        Raises:
          DiskFailure: the one before it could not be written.
        """
        self.wait()
        self._thread = threading.Thread(target=self._write, args=(snapshot,))
        self._thread.start()

    def wait(self) -> None:
        """Returns when the last checkpoint is on the disk.

        Raises:
          DiskFailure: it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            steps = steps_of(self._folder)
            newest = f"step {steps[-1]}" if steps else "none"
            raise DiskFailure(
                f"the checkpoint could not be written ({error.strerror}:"
                f" {self._folder}); the ones before it are whole (newest: {newest});"
                " make room and give the same command again"
            ) from error

    def close(self) -> None:
        """Lets the last write end, whatever came of it."""
        with contextlib.suppress(DiskFailure):
            self.wait()

    def _write(self, snapshot: Snapshot) -> None:
        try:
            save(self._folder, snapshot)
            keep_newest(self._folder, self._keep, snapshot.progress.best_step)
        except OSError as error:
            self._error = error
