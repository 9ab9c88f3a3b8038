"""What is searched: from texts such as `learning_rate=1e-4..1e-1:log` to a space.

Read `parse` first. Imports neither TensorFlow nor KerasTuner, so that a mistake is
answered at once; which flags there are, and of what type, is told by the caller.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from base import own_parts
from base.errors import UserError, unknown

_RANGE = re.compile(r"(?P<low>[^|:]+?)\.\.(?P<high>[^|:]+)(?P<options>(:[^:]+)*)")
_TRUTHS = {"true": True, "false": False}
_EXPECTED = {int: "a whole number", float: "a number", bool: "true or false"}
# Digits that a value drawn from a range keeps: more tell nothing and read badly.
_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Kind:
    """What the values of a flag are.

    Attributes:
      type: str, int, float or bool.
      choices: the only values there are; empty where any value of the type will do.
      optional: whether `none` means that the flag is not given.
      own: whether `package.module:name` stands for a choice of the user's own.
    """

    type: type
    choices: tuple[str, ...] = ()
    optional: bool = False
    own: bool = False


@dataclasses.dataclass(frozen=True)
class Dimension:
    """A flag and the values it may take: some, or a range of numbers.

    Attributes:
      name: of the flag, or `model_args.NAME`.
      kind: of its values.
      values: the choices; empty for a range.
      low, high: the ends of a range, both of them included.
      log: whether the logarithm is drawn evenly rather than the number.
      step: distance (or factor, with `log`) between the values of a range, or None.
      parent: flag that decides whether this one is searched, or None.
      parent_values: with which it is.
    """

    name: str
    kind: Kind
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    parent: str | None = None
    parent_values: tuple[Any, ...] = ()

    @property
    def is_range(self) -> bool:
        """Whether any number between two ends may be drawn."""
        return not self.values

    @property
    def ends(self) -> tuple[Any, ...]:
        """What tells whether all values are valid: the choices, or a range's ends."""
        return self.values or (self.low, self.high)

    def listed(self) -> tuple[Any, ...] | None:
        """Every value in rising or given order; None where there is no end of them."""
        if not self.is_range:
            return self.values
        step = self.step or (1 if self.kind.type is int and not self.log else None)
        if step is None:
            return None
        values = [self.low]
        while (following := values[-1] * step if self.log else values[-1] + step) <= (
            self.high * (1 + 1e-9)
        ):
            values.append(following)
        return tuple(self.kind.type(value) for value in values)

    def tidy(self, value: Any) -> Any:
        """A drawn value as the flag is given it: of its type, and short to read."""
        if self.kind.type is float and self.is_range:
            return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)
        if value == "none" and self.kind.optional:
            return None
        return self.kind.type(value)


@dataclasses.dataclass(frozen=True)
class Space:
    """All that is searched; a parent comes before what depends on it."""

    dimensions: tuple[Dimension, ...]

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dimensions)

    def __getitem__(self, name: str) -> Dimension:
        return next(d for d in self.dimensions if d.name == name)

    def is_active(self, dimension: Dimension, values: Mapping[str, Any]) -> bool:
        """Whether a flag is searched, given the values of those before it."""
        if dimension.parent is None:
            return True
        return (
            dimension.parent in values
            and values[dimension.parent] in dimension.parent_values
        )

    def corners(self, most: int) -> Iterator[dict[str, Any]]:
        """Combinations of choices and ends of ranges: all of them, or the first `most`.

        Each has values for the flags that are searched in it.
        """
        ends = itertools.product(*(d.ends for d in self.dimensions))
        for combination in itertools.islice(ends, most):
            values: dict[str, Any] = {}
            for dimension, value in zip(self.dimensions, combination, strict=True):
                if self.is_active(dimension, values):
                    values[dimension.name] = value
            yield values


def parse(
    texts: Sequence[str], kinds: Mapping[str, Kind], refused: Mapping[str, str]
) -> Space:
    """The space that the texts of `--search` describe.

    Args:
      texts: `NAME=V|V`, `NAME=LOW..HIGH[:log][:step=S]`, each with or without
        ` if NAME=V|V` behind it.
      kinds: what may be searched.
      refused: flags that may not be, each with the reason.

    Raises:
      UserError: what is said makes no sense.
    """
    if not texts:
        raise UserError(
            "--search is missing: expected one for each flag to search, such as"
            " --search='learning_rate=1e-4..1e-1:log'"
        )
    parsed = [_dimension(text, kinds, refused) for text in texts]
    by_name: dict[str, tuple[Dimension, str]] = {}
    for (dimension, condition), text in zip(parsed, texts, strict=True):
        if dimension.name in by_name:
            raise UserError(
                f"--search={text}: {dimension.name} is searched already; expected one"
                " --search for each flag"
            )
        by_name[dimension.name] = dimension, condition
    conditional = {
        name: _with_condition(dimension, condition, by_name)
        for name, (dimension, condition) in by_name.items()
    }
    return Space(tuple(_parents_first(conditional)))


def _dimension(
    text: str, kinds: Mapping[str, Kind], refused: Mapping[str, str]
) -> tuple[Dimension, str]:
    """A text's flag with its values, and the condition's text."""
    body, _, condition = text.partition(" if ")
    name, equals, values = (part.strip() for part in body.partition("="))
    name = name.removeprefix("--")
    if name in refused:
        raise UserError(f"--search={text}: {name} {refused[name]}")
    if name not in kinds:
        raise unknown(f"--search={text}: flag", name, kinds)
    if not equals or not values:
        raise UserError(
            f"--search={text}: expected values after {name}=, such as"
            f" {name}=A|B or {name}=LOW..HIGH"
        )
    kind = kinds[name]
    match = _RANGE.fullmatch(values)
    if match and kind.type in (int, float) and not kind.choices:
        return _range(text, name, kind, match), condition.strip()
    return _choices(text, name, kind, values.split("|")), condition.strip()


def _choices(text: str, name: str, kind: Kind, texts: Sequence[str]) -> Dimension:
    values = tuple(_value(text, name, kind, part.strip()) for part in texts)
    if len(set(values)) < len(values):
        raise UserError(f"--search={text}: a value is given twice; expected once")
    if len(values) < 2:
        raise UserError(
            f"--search={text}: one value is nothing to search; give it as a flag:"
            f" --{name}={texts[0].strip()}"
        )
    return Dimension(name, kind, values)


def _range(text: str, name: str, kind: Kind, match: re.Match[str]) -> Dimension:
    low, high = (_number(text, name, kind, match[end]) for end in ("low", "high"))
    options = [option for option in match["options"].split(":") if option]
    log = "log" in options
    step = None
    for option in options:
        if option.startswith("step="):
            step = _number(text, name, kind, option.removeprefix("step="))
        elif option != "log":
            raise UserError(
                f"--search={text}: {option!r} after the range; expected :log or :step=S"
            )
    if low >= high:
        raise UserError(
            f"--search={text}: the range from {low} to {high} is empty; expected"
            f" LOW..HIGH with LOW below HIGH"
        )
    if log and low <= 0:
        raise UserError(
            f"--search={text}: there is no logarithm of {low}; expected a range above"
            " 0, or one without :log"
        )
    if step is not None and not (step > 1 if log else 0 < step <= high - low):
        most = "a factor above 1" if log else f"above 0 and at most {high - low}"
        raise UserError(f"--search={text}: step={step}; expected {most}")
    return Dimension(name, kind, low=low, high=high, log=log, step=step)


def _number(text: str, name: str, kind: Kind, part: str) -> float:
    value: float = _value(text, name, dataclasses.replace(kind, optional=False), part)
    if not math.isfinite(value):
        raise UserError(f"--search={text}: {part} is no end of a range")
    return value


def _value(text: str, name: str, kind: Kind, part: str) -> Any:
    """`part` as a value of the flag's type."""
    if kind.optional and part.casefold() == "none":
        return None
    is_own = kind.own and own_parts.is_reference(part)
    if kind.choices and part not in kind.choices and not is_own:
        raise unknown(f"--search={text}: {name}", part, kind.choices)
    try:
        return _TRUTHS[part.casefold()] if kind.type is bool else kind.type(part)
    except (KeyError, ValueError):
        raise UserError(
            f"--search={text}: {name} takes {_EXPECTED[kind.type]}, got {part!r}"
        ) from None


def _with_condition(
    dimension: Dimension, text: str, by_name: Mapping[str, tuple[Dimension, str]]
) -> Dimension:
    """The flag with its condition `NAME=V|V`, which names another flag searched."""
    if not text:
        return dimension
    name, _, values = (part.strip() for part in text.partition("="))
    if name not in by_name or name == dimension.name:
        others = [other for other in by_name if other != dimension.name]
        raise UserError(
            f"--search={dimension.name}=… if {text}: a condition names another flag"
            f" that is searched, by its values; there is {', '.join(others) or 'none'}"
        )
    parent = by_name[name][0]
    if parent.is_range:
        raise UserError(
            f"--search={dimension.name}=… if {text}: {name} is a range; expected a flag"
            " with choices (A|B)"
        )
    wanted = tuple(
        _value(f"{dimension.name}=… if {text}", name, parent.kind, part.strip())
        for part in values.split("|")
    )
    for value in wanted:
        if value not in parent.values:
            raise UserError(
                f"--search={dimension.name}=… if {text}: {name} is never {value};"
                f" expected one of {', '.join(map(str, parent.values))}"
            )
    return dataclasses.replace(dimension, parent=name, parent_values=wanted)


def _parents_first(by_name: Mapping[str, Dimension]) -> Iterable[Dimension]:
    placed: list[Dimension] = []
    names: Collection[str] = ()
    while len(placed) < len(by_name):
        ready = [
            d
            for d in by_name.values()
            if d.name not in names and (d.parent is None or d.parent in names)
        ]
        if not ready:
            circle = ", ".join(name for name in by_name if name not in names)
            raise UserError(f"--search: {circle} are conditions of one another")
        placed += ready
        names = {d.name for d in placed}
    return placed
