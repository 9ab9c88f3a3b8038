"""`atelier launch … -- train …`: a cluster of processes on this machine."""

import sys
from collections.abc import Sequence

from app import child_processes
from app.configs.commands import LaunchConfig
from base.errors import UserError

CONFIG = LaunchConfig
TAKES_COMMAND = True
_COMMANDS = ("train",)


def run(config: LaunchConfig, command: Sequence[str]) -> int:
    """Runs `command` on all workers; returns the exit status.

    Raises:
      UserError: there is no command, or one that a cluster cannot run.
    """
    from app.distribution.launcher import Launcher

    if not command or command[0] not in _COMMANDS:
        received = command[0] if command else "nothing"
        raise UserError(
            f"atelier launch received {received} after --: expected train and its"
            " flags, as in `atelier launch --workers=2 -- train --run_dir=…`"
        )
    local = config.cluster
    child_processes.find_rooms_first()
    program = [sys.executable, "-m", "app.main", *command]
    return Launcher(
        local.workers,
        local.restarts,
        program,
        local.patience,
        local.parameter_servers,
    ).run()
