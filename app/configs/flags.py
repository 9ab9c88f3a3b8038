"""Turns frozen dataclasses into absl flags, and flags back into dataclasses.

A command's configuration is a dataclass whose fields are the rooms' config dataclasses;
their fields are the flags. `declare` makes the flags, `parse` reads a command line,
`to_text` writes the flagfile that repeats it. A field may have a type of its own, such
as an interval, that has `parse`, which reads a text, and whose `str` is such a text.
"""

import dataclasses
import types
import typing
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from absl import flags

from base.errors import UserError

Config = TypeVar("Config")

_DEFINITIONS = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_boolean,
    # A flag that may be given several times.
    tuple: flags.DEFINE_multi_string,
}
_KIND_NAMES: dict[type, str] = {tuple: "str, again and again"}


def groups(config_class: type) -> Iterator[tuple[str, type]]:
    """The parts of a command's configuration: (attribute, room's dataclass)."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        yield field.name, hints[field.name]


def value_type(group: type, field: dataclasses.Field[Any]) -> type:
    """The type of one flag's value: `X` for a field of type `X` or `X | None`."""
    hint = typing.get_type_hints(group)[field.name]
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return typing.cast(type, typing.get_origin(hint) or hint)


def plain_type(group: type, field: dataclasses.Field[Any]) -> type:
    """The type of one flag's value as it is written: `str` for a type of its own."""
    kind = value_type(group, field)
    return str if _is_own(kind) else kind


def declare(config_class: type) -> flags.FlagValues:
    """Flags for every field of every part of `config_class`."""
    values = flags.FlagValues()
    for _, group in groups(config_class):
        for field in dataclasses.fields(group):
            _declare_field(values, group, field)
    return values


def _declare_field(
    values: flags.FlagValues, group: type, field: dataclasses.Field[Any]
) -> None:
    choices = field.metadata.get("choices")
    options = {"flag_values": values, "module_name": group.__module__}
    if choices and not field.metadata.get("own"):
        flags.DEFINE_enum(
            field.name, field.default, list(choices), field.metadata["help"], **options
        )
        return
    define = _DEFINITIONS[plain_type(group, field)]
    default = plain(field.default)
    define(field.name, default, field.metadata["help"], **options)


def parse(config_class: type[Config], arguments: Sequence[str]) -> Config:
    """Reads a command's arguments.

    Raises:
      UserError: an unknown flag, a value of the wrong type or out of its range.
    """
    values = declare(config_class)
    try:
        rest = values(["atelier", *arguments])[1:]
    except flags.Error as error:
        raise UserError(_one_line(error)) from error
    if rest:
        raise UserError(
            f"got {rest[0]!r} beside the flags; a value belongs to a flag:"
            " --flag=value (--help lists them)"
        )
    return from_values(config_class, values.flag_values_dict())


def _one_line(error: flags.Error) -> str:
    return " ".join(str(error).split()).removeprefix("FATAL Flags parsing error: ")


def from_values(config_class: type[Config], values: dict[str, Any]) -> Config:
    """Builds the configuration from flag values by name.

    Raises:
      UserError: a room refuses a value.
    """
    return config_class(
        **{
            attribute: group(
                **{
                    field.name: _typed(group, field, values[field.name])
                    for field in dataclasses.fields(group)
                }
            )
            for attribute, group in groups(config_class)
        }
    )


def _typed(group: type, field: dataclasses.Field[Any], value: Any) -> Any:
    """A value as its field has it: absl has a list of a flag given several times."""
    kind: Any = value_type(group, field)
    if _is_own(kind) and value is not None and not isinstance(value, kind):
        return kind.parse(field.name, str(value))
    return tuple(value) if isinstance(value, list) else value


def _is_own(kind: type) -> bool:
    """Whether it is a type that absl knows nothing of."""
    return hasattr(kind, "parse")


def plain(value: Any) -> Any:
    """A flag's value as JSON has it; one of a type of its own is a text."""
    return str(value) if _is_own(type(value)) else value


def to_values(config: Any) -> dict[str, Any]:
    """Every flag's value by name, in the order of declaration; see `plain`."""
    return {
        field.name: plain(getattr(getattr(config, attribute), field.name))
        for attribute, group in groups(type(config))
        for field in dataclasses.fields(group)
    }


def resumable_names(config_class: type) -> set[str]:
    """Names of the flags that may change when a run goes on."""
    return {
        field.name
        for _, group in groups(config_class)
        for field in dataclasses.fields(group)
        if field.metadata.get("resumable", False)
    }


def to_text(config: Any, leave_out: Collection[str] = ()) -> str:
    """The flagfile that gives `config` again: a line for each flag that is set."""
    return "".join(
        f"{argument_of(name, part)}\n"
        for name, value in to_values(config).items()
        if value is not None and name not in leave_out
        for part in (value if isinstance(value, tuple) else (value,))
    )


def argument_of(name: str, value: Any) -> str:
    """One flag as it stands on a command line."""
    if isinstance(value, bool):
        return f"--{'' if value else 'no'}{name}"
    return f"--{name}={value}"


def help_text(config_class: type) -> str:
    """The flags of a command, grouped by room."""
    lines = []
    for _, group in groups(config_class):
        title = (group.__doc__ or group.__name__).strip().splitlines()[0]
        lines.append(f"\n{title}")
        lines.extend(_help_lines(group))
    return "\n".join(lines)


def arguments_text(title: str, config_class: type) -> str:
    """What a dataclass of `name=value` arguments knows, such as a model's."""
    lines = [f"  {title}: {(config_class.__doc__ or '').strip().splitlines()[0]}"]
    for field in dataclasses.fields(config_class):
        text = f"{field.name}: {field.metadata['help']} (default: {field.default!r})"
        wrapped = flags.text_wrap(text, length=86, indent=" " * 8)
        lines.append(" " * 6 + wrapped.lstrip())
    return "\n".join(lines)


def _help_lines(group: type) -> Iterator[str]:
    for field in dataclasses.fields(group):
        kind = value_type(group, field)
        choices = field.metadata.get("choices")
        hint = (
            "|".join(choices)
            if choices
            else _KIND_NAMES.get(kind, kind.__name__.lower())
        )
        if own := field.metadata.get("own"):
            hint += f"|package.module:{own}"
        name = f"--[no]{field.name}" if kind is bool else f"--{field.name}={hint}"
        default = plain(field.default)
        default = "" if default is None else f" (default: {default!r})"
        yield f"  {name}"
        yield from flags.text_wrap(
            f"{field.metadata['help']}{default}", length=86, indent=" " * 6
        ).splitlines()
