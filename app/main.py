"""The command line: `atelier COMMAND [--flag=value …]`.

Finds the command's module, reads its flags, and runs it. It imports no TensorFlow.
"""

import importlib
import os
import pathlib
import select
import sys
from collections.abc import Sequence
from typing import TextIO

if (
    __name__ == "__main__"
    and not sys.flags.safe_path
    and pathlib.Path.cwd() != pathlib.Path(__file__).resolve().parents[1]
):
    # `python -m` looks into the working directory first, where a user's models.py may
    # lie: it is no room of Atelier's.
    sys.path.append(sys.path.pop(0))

from app import caches, exit_status, tf_startup
from app.configs import flags
from app.distribution import process_exit
from base import errors

COMMANDS = {
    "train": "trains into --run_dir; on a folder that exists, resumes it",
    "evaluate": "evaluates a run on its validation or test split",
    "predict": "predicts images or rows with a run or an export, to CSV",
    "pack": "turns any source of images or vectors into a packed dataset",
    "export": "publishes a run as a SavedModel, for LiteRT, or both",
    "launch": "runs train as several workers on this machine: launch … -- train …",
    "tune": "searches hyperparameters; each trial is a run folder",
}
_HELP = ("--help", "-help", "-h", "help", "--helpfull", "--helpshort")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the console script's entry. Returns the exit status."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        status = exit_status.guarded(lambda: _run(given))
        sys.stdout.flush()
        return process_exit.leave(status)
    except BrokenPipeError:
        if not any(_has_no_reader(stream) for stream in (sys.stdout, sys.stderr)):
            raise
        # Nobody reads on, as after `| head`. What is still in the buffers goes nowhere,
        # or Python would complain while it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            if _has_no_reader(stream):
                os.dup2(nowhere, stream.fileno())
        return errors.EXIT_FAILED


def _has_no_reader(stream: TextIO) -> bool:
    """Whether `stream` is a pipe that its reader has left."""
    watched = select.poll()
    watched.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in _HELP:
        print(_help())
        return errors.EXIT_DONE if arguments else errors.EXIT_USER_MISTAKE
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        raise errors.unknown("command", name, COMMANDS)
    command = importlib.import_module(f"app.commands.{name}")
    takes_command = getattr(command, "TAKES_COMMAND", False)
    rest, launched = _divided(rest) if takes_command else (rest, [])
    if any(argument in _HELP for argument in rest):
        print(f"atelier {name}: {COMMANDS[name]}")
        print(flags.help_text(command.CONFIG))
        if hasattr(command, "more_help"):
            print(command.more_help())
        return errors.EXIT_DONE
    config = flags.parse(command.CONFIG, rest)
    status: int
    if takes_command:
        status = command.run(config, launched)
    else:
        if hasattr(command, "get_ready"):
            command.get_ready(config)  # beside the import, which takes seconds
        tf_startup.import_tensorflow()
        caches.keep_file_facts()
        status = command.run(config)
    return status


def _divided(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before `--`, and what stands after it."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {does}" for name, does in COMMANDS.items()]
    return "\n".join(
        [
            "Trains neural networks with Keras on TensorFlow: from files to a model.",
            "",
            "usage: atelier COMMAND [--flag=value …]",
            "",
            *lines,
            "",
            "atelier COMMAND --help lists the command's flags; --flagfile=FILE reads"
            " flags from a file.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
