"""What this room raises."""

import difflib
from collections.abc import Iterable


class SearchError(ValueError):
    """A user's mistake, in one line: received, expected, what to do."""


def unknown(kind: str, name: str, known: Iterable[str]) -> SearchError:
    """An error for a `name` that is not `known`, with what it may have meant."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=2)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(known)}"
    )
    return SearchError(f"{kind} {name!r} does not exist: {hint}")
