"""From text such as `depth=20,width=16` to a model's frozen config dataclass."""

import dataclasses
import types
import typing
from typing import Any

from base.errors import UserError, unknown

_TRUTHS = {
    "true": True,
    "yes": True,
    "1": True,
    "false": False,
    "no": False,
    "0": False,
}
_EXPECTED = {int: "a whole number", float: "a number", bool: "true or false"}


def parse(name: str, config_class: type, text: str) -> Any:
    """The config of model `name` that `text` describes.

    Args:
        name: The model's name, for the messages.
        config_class: A frozen dataclass whose fields are str, int, float, bool, or one
            of these or None.
        text: `argument=value` pairs separated by commas; empty means all defaults. So
            a value can hold no comma.

    Raises:
        UserError: An argument that is unknown, given twice, missing or ill typed, or a
            value that the dataclass refuses.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    hints = typing.get_type_hints(config_class)
    values: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        argument, equals, value = (part.strip() for part in pair.partition("="))
        if argument not in fields:
            raise unknown(f"{name} argument", argument, fields)
        if not equals:
            raise UserError(f"{name} argument {pair!r}: expected {argument}=VALUE")
        if argument in values:
            raise UserError(f"{name} argument {argument} is given twice: expected once")
        values[argument] = _convert(name, argument, value, hints[argument])
        _check_choice(name, fields[argument], values[argument])
    _check_complete(name, fields.values(), values)
    return config_class(**values)


def _convert(name: str, argument: str, value: str, hint: Any) -> Any:
    """`value` as the type `hint`, which may be a union with None."""
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    if type(None) in kinds and value.casefold() == "none":
        return None
    kind = next(kind for kind in kinds if kind is not type(None))
    try:
        return _TRUTHS[value.casefold()] if kind is bool else kind(value)
    except (KeyError, ValueError):
        raise UserError(
            f"{name} argument {argument}={value}: expected {_EXPECTED[kind]}"
        ) from None


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


def _check_choice(name: str, field: dataclasses.Field, value: Any) -> None:
    choices = field.metadata.get("choices")
    if choices and value not in choices:
        raise unknown(f"{name} {field.name}", str(value), choices)


def _check_complete(
    name: str, fields: typing.Iterable[dataclasses.Field], values: dict[str, Any]
) -> None:
    missing = [
        field.name
        for field in fields
        if field.name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(
            f"{name} needs the arguments {', '.join(missing)}: "
            f"expected --model_args={','.join(f'{field}=VALUE' for field in missing)}"
        )
