"""Flags as fields: how a config dataclass declares one, and refuses its value.

A field's name is the flag's, its metadata what the command line knows of it.
"""

import dataclasses
from typing import Any

from base.errors import UserError


def flag(
    default: Any, help: str, *, choices: tuple[str, ...] = (), **metadata: Any
) -> Any:
    """A field of a frozen config dataclass that is a flag, or a model's argument.

    Args:
      default: the value where the flag is not given.
      help: what `--help` says.
      choices: the values there are; empty where there are too many to list.
      **metadata: of the room's own, such as `resumable`: may change on a resume; `own`
        beside `choices`: what `package.module:…` may name instead of one of them.
    """
    if choices:
        metadata["choices"] = choices
    return dataclasses.field(default=default, metadata={"help": help, **metadata})


def require(holds: bool, flag: str, received: object, expected: str) -> None:
    """Refuses the value of a flag unless `holds`.

    Args:
      holds: whether the value is fit.
      flag: its name, without dashes.
      received: its value.
      expected: what would be fit, and what to do where that does not say it.

    Raises:
      UserError: it is not fit; the line has all three.
    """
    if not holds:
        raise UserError(f"--{flag}={received}: expected {expected}")
