"""What a Python program hands over, by the names that stand for it where flags do.

A flag is text, and so is flags.txt. Data and models that live in memory alone are
called `python:KIND-FINGERPRINT` there; `find` knows what that is within `at_hand`.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from base.errors import UserError

PREFIX = "python:"
# Hexadecimal digits of the SHA-256 in a name.
_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class Given:
    """Something that was handed over.

    Attributes:
        kind: what it is, in letters and digits, such as `arrays`.
        sha256: fingerprint of all that results depend on.
        value: what opens or builds it.
        facts: more of it for environment.json: plain JSON values.
    """

    kind: str
    sha256: str
    value: Any
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """What stands for it in a flag."""
        return f"{PREFIX}{self.kind}-{self.sha256[:_DIGITS]}"


_at_hand: dict[str, Given] = {}


@contextlib.contextmanager
def at_hand(given: Sequence[Given]) -> Iterator[None]:
    """Within it `find` knows these by their names."""
    before = dict(_at_hand)
    _at_hand.update({one.name: one for one in given})
    try:
        yield
    finally:
        _at_hand.clear()
        _at_hand.update(before)


def find(flag: str, name: str) -> Any:
    """The value of what `name` stands for; None where it stands for nothing given.

    Args:
        flag: that has the name as its value.
        name: as in flags.txt.

    Raises:
        UserError: it was given to another program, or to another start of it.
    """
    if not name.startswith(PREFIX):
        return None
    if name not in _at_hand:
        raise UserError(
            f"--{flag}={name} stands for what a Python program handed over, which is "
            "in that program alone: go on there, by atelier.train or atelier.open with "
            f"the same {flag}=… and run_dir"
        )
    return _at_hand[name].value


def fingerprints() -> dict[str, dict[str, Any]]:
    """What is at hand by its name, for environment.json: plain JSON values."""
    return {name: {"sha256": one.sha256, **one.facts} for name, one in _at_hand.items()}
