"""Flags as a Python program gives them: keyword arguments of the same names.

They become a command line and go the command's way, so that names, defaults, checks and
messages are the same.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from app.configs import flags
from base.errors import UserError, unknown

Config = TypeVar("Config")

# Not a field of any config: absl reads it, as the first of all.
_FLAGFILE = "flagfile"


def parse(config_class: type[Config], given: Mapping[str, Any]) -> Config:
    """The configuration that keyword arguments describe.

    Args:
      config_class: of a command.
      given: values by flag. None leaves the default; a sequence is its parts with
        commas between, a mapping `key=value` with commas between.

    Raises:
      UserError: an unknown flag, a value of the wrong type or out of its range.
    """
    kinds = {
        field.name: flags.value_type(group, field)
        for _, group in flags.groups(config_class)
        for field in dataclasses.fields(group)
    }
    arguments: list[str] = []
    for name, value in given.items():
        if name not in kinds and name != _FLAGFILE:
            raise unknown("flag", name, kinds)
        if value is None:
            continue
        if name == _FLAGFILE:  # what is given beside it counts, wherever it stands
            arguments.insert(0, f"--{name}={_text(name, value)}")
        else:
            arguments += _arguments(name, kinds[name], value)
    return flags.parse(config_class, arguments)


def _arguments(name: str, kind: type, value: Any) -> Iterator[str]:
    """One flag as words of a command line."""
    if kind is bool and isinstance(value, bool):
        yield flags.argument_of(name, value)
    elif kind is tuple and isinstance(value, list | tuple):
        for part in value:
            yield f"--{name}={_text(name, part)}"
    else:
        yield f"--{name}={_text(name, value)}"


def _text(name: str, value: Any) -> str:
    """A value as it stands on a command line.

    Raises:
      UserError: it is no text, number, path, or sequence or mapping of these.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_text(name, one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ",".join(_text(name, part) for part in value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return _text(name, value.item())  # a number of NumPy's
    raise UserError(
        f"{name}: received a {type(value).__name__}; expected a text, a number, a path,"
        " or a sequence or mapping of these, as the flag takes it"
    )
