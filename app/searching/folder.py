"""The folder of a search: what lies where, its state under a lock, who is at work."""

import contextlib
import copy
import dataclasses
import fcntl
import os
import pathlib
import socket
import uuid
from collections.abc import Iterator
from typing import Any

from app.configs import flags
from app.configs.commands import TuneConfig
from app.runs.folder import RunFolder
from base import files
from base.errors import UserError

_HEADER = "# Repeats this search: atelier tune --flagfile=THIS_FILE --run_dir=ANOTHER\n"
# Of one start rather than of the search.
_OF_ONE_START = frozenset({"progress"})


@dataclasses.dataclass(frozen=True)
class SearchFolder:
    """Names of everything in the folder of a search.

    Its locks are the kernel's (`flock`; on NFS and other shared folders the server's):
    a process or machine that dies loses them, and nobody has to guess by a time limit.
    """

    path: pathlib.Path

    @property
    def flags(self) -> pathlib.Path:
        """The flagfile that repeats the search."""
        return self.path / "tune.flags"

    @property
    def state(self) -> pathlib.Path:
        """All that the search knows."""
        return self.path / "search.json"

    @property
    def best_flags(self) -> pathlib.Path:
        """The flagfile that trains the winner."""
        return self.path / "best.flags"

    @property
    def table(self) -> pathlib.Path:
        """A row for each trial."""
        return self.path / "trials.csv"

    @property
    def figures(self) -> pathlib.Path:
        """Folder of figures."""
        return self.path / "figures"

    @property
    def tensorboard(self) -> pathlib.Path:
        """What TensorBoard's HParams tab shows."""
        return self.path / "tensorboard"

    def trial(self, name: str) -> RunFolder:
        """The run folder of a trial."""
        return RunFolder(self.path / "trials" / name)

    def log(self, name: str) -> pathlib.Path:
        """What a trial's process has said, over all its starts."""
        return self.path / "logs" / f"{name}.log"

    def failure(self, name: str) -> pathlib.Path:
        """What ended a trial's last start before its end; not there if nothing did."""
        return self.path / "logs" / f"{name}.failure.json"

    def require_fit(self) -> None:
        """Refuses a folder that holds something else.

        Raises:
          UserError: it does, or it is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--run_dir={self.path} is a file; name a folder")
        if self.state.exists() or not self.path.exists():
            return
        ours = {".lock", "agents", "logs", "tune.flags"}
        if any(entry.name not in ours for entry in self.path.iterdir()):
            raise UserError(
                f"--run_dir={self.path}: the folder holds files but no search (there is"
                " no search.json); name an empty or a new folder"
            )

    def write_config(self, config: TuneConfig) -> None:
        """Keeps the flags of the search."""
        kept = flags.to_text(config, leave_out=_OF_ONE_START)
        files.write_text(self.flags, _HEADER + kept)

    def read_config(self) -> TuneConfig:
        """The flags that the search was begun with."""
        return flags.parse(
            TuneConfig, [f"--flagfile={self.flags}", f"--run_dir={self.path}"]
        )

    def require_same(self, config: TuneConfig) -> None:
        """Compares the flags with those that the search was begun with.

        Raises:
          UserError: one differs that changes what is searched.
        """
        before, now = (flags.to_values(c) for c in (self.read_config(), config))
        allowed = flags.resumable_names(TuneConfig)
        wrong = [n for n in now if before[n] != now[n] and n not in allowed]
        if wrong:
            difference = "; ".join(_difference(n, before[n], now[n]) for n in wrong)
            raise UserError(
                f"--run_dir={self.path} holds a search with other flags: {difference};"
                " give the flags it was begun with, or another --run_dir"
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder's state for this process, waiting for others."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _difference(name: str, before: Any, now: Any) -> str:
    if name == "search":
        gone = [f"without --search={text}" for text in before if text not in now]
        new = [f"with --search={text}" for text in now if text not in before]
        return ", ".join(gone + new) or "another order of --search"
    return f"--{name}={now} (was {before})"


class StateFile:
    """The state of a search: read under the lock, and replaced as a whole."""

    def __init__(self, folder: SearchFolder) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def transaction(self) -> Iterator[dict[str, Any]]:
        """The state, alone; what it is when the `with` ends well is on the disk."""
        with self._folder.locked():
            state = self.read()
            before = copy.deepcopy(state)
            yield state
            if state != before:
                files.write_json(self._folder.state, state)

    def read(self) -> dict[str, Any]:
        """The state as it was saved last."""
        state: dict[str, Any] = files.read_json(self._folder.state)
        return state


class AgentMark:
    """The mark of a process that is at work on a search, for as long as it lives."""

    def __init__(self, folder: SearchFolder) -> None:
        self._folder = folder
        self._agents = folder.path / "agents"
        self._agents.mkdir(parents=True, exist_ok=True)
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._file = open(self._agents / self.name, "w")  # noqa: SIM115 (held for life)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def close(self) -> None:
        """Leaves."""
        (self._agents / self.name).unlink(missing_ok=True)
        self._file.close()

    def is_gone(self, taker: str, run: str) -> bool:
        """Whether nobody works on a job: neither its taker nor what that started."""
        if taker and _is_held(self._agents / taker):
            return False
        if _is_held(self._folder.trial(run).path / ".lock"):
            return False
        if taker:
            (self._agents / taker).unlink(missing_ok=True)
        return True


def _is_held(path: pathlib.Path) -> bool:
    """Whether a living process holds the lock on a file."""
    try:
        with open(path, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
