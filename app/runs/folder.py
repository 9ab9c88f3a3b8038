"""The run folder: what lies where, who may write it, and how a run starts in it."""

import contextlib
import dataclasses
import enum
import os
from collections.abc import Iterator
from typing import Any

from app.configs import flags
from app.configs.commands import TrainConfig
from app.run_files import RunFiles
from base import files, locking
from base.errors import InUse, UserError
from models import registry

_FLAGS_HEADER = """\
# Repeats this run: atelier train --flagfile=THIS_FILE --run_dir=ANOTHER_FOLDER
# Without --run_dir it goes on with the run in this folder, or says that it is finished.
"""
# Flags of one start rather than of the run: they are not kept.
_OF_ONE_START = frozenset({"stop_after", "figures", "progress"})


class Start(enum.Enum):
    """Where a run starts from."""

    FINISHED = "finished"
    RESUME = "resume"
    RESTART = "restart"
    FRESH = "fresh"


@dataclasses.dataclass(frozen=True)
class RunFolder(RunFiles):
    """A run folder: its files, its flags, and the lock of who writes it."""

    def read_config(self) -> TrainConfig:
        """The flags of the run.

        Raises:
          UserError: the folder is no run folder.
        """
        if not self.flags.is_file():
            raise UserError(
                f"--run_dir={self.path}: expected a run folder, but there is no"
                " flags.txt in it; name a folder that `atelier train` made"
            )
        return flags.parse(
            TrainConfig, [f"--flagfile={self.flags}", f"--run_dir={self.path}"]
        )

    def write_config(self, config: TrainConfig) -> None:
        """Keeps the flags of the run."""
        kept = flags.to_text(config, leave_out=_OF_ONE_START)
        files.write_text(self.flags, _FLAGS_HEADER + kept)

    def require_writable(self) -> None:
        """Finds out whether a run can be kept here, before anything is done for it.

        Raises:
          UserError: it is a file, holds something else, or cannot be written.
        """
        existing = self.path
        while not existing.exists():
            existing = existing.parent
        if not existing.is_dir():
            raise UserError(
                f"--run_dir={self.path}: {existing} is a file; name a folder"
            )
        if not os.access(existing, os.W_OK):
            raise UserError(
                f"--run_dir={self.path}: no permission to write in {existing};"
                " name a folder that can be written"
            )
        if self.path.exists() and not self.flags.exists() and self._holds_other_files():
            raise UserError(
                f"--run_dir={self.path}: the folder holds files but no run (there is no"
                " flags.txt); name an empty or a new folder"
            )

    def _holds_other_files(self) -> bool:
        return any(entry.name != _LOCK for entry in self.path.iterdir())

    def require_same_mathematics(self, config: TrainConfig) -> dict[str, list[Any]]:
        """Compares the flags with those that the run was started with.

        Returns the flags that changed and may: {name: [before, now]}.

        Raises:
          UserError: a flag differs that changes what comes out.
        """
        before, now = (flags.to_values(c) for c in (self.read_config(), config))
        changed = {
            name: [before[name], now[name]] for name in now if before[name] != now[name]
        }
        allowed = set(flags.resumable_names(TrainConfig))
        if "model_args" in changed and "model" not in changed:
            texts = changed["model_args"]
            if registry.differ_in_devices_alone(config.model.model, *texts):
                allowed.add("model_args")
        wrong = [name for name in changed if name not in allowed]
        if wrong:
            difference = ", ".join(
                f"--{name}={changed[name][1]} (was {changed[name][0]})"
                for name in wrong
            )
            raise UserError(
                f"--run_dir={self.path} was made with other flags: {difference}; give"
                " the flags it was made with, or another --run_dir"
            )
        return {n: c for n, c in changed.items() if n not in _OF_ONE_START}

    def is_finished(self) -> bool:
        """Whether the run has been trained to its end."""
        return bool(self.read_results().get("state") == "finished")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process; creates it if need be.

        The lock is the kernel's, so that of a process that died is free at once.

        Raises:
          InUse: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / _LOCK, "a+") as file:
            if holder := locking.holder_of(file):
                raise InUse(
                    f"--run_dir={self.path} is in use by {holder}; wait for it to end,"
                    " or name another folder"
                )
            yield


_LOCK = ".lock"


def decide_start(folder: RunFolder, *, has_checkpoint: bool) -> Start:
    """The resume rule.

    1. The run is finished: say so, and do nothing.
    2. There is a whole checkpoint: resume from the newest.
    3. There are flags but no whole checkpoint: start again from step 0, and say so.
    4. The folder is empty: a fresh run.
    """
    if folder.is_finished():
        return Start.FINISHED
    if has_checkpoint:
        return Start.RESUME
    if folder.flags.exists():
        return Start.RESTART
    return Start.FRESH
