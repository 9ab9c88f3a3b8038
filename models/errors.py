"""The models room's error, and how a misspelt name is answered."""

import difflib
from collections.abc import Iterable

# A longer list of names would bury the suggestion.
_LISTED = 20


class ModelError(ValueError):
    """A user's mistake about a model, loss, optimizer or schedule, in one line."""


def unknown(kind: str, received: str, known: Iterable[str]) -> ModelError:
    """The error for a name that is not one of `known`, with the closest one to it.

    Args:
        kind: What the name names, such as "model" or "resnet argument".
        received: The name as the user wrote it.
        known: The names there are.
    """
    names = list(known)
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(received.casefold(), folded, n=1, cutoff=0.5)
    hint = f" (did you mean {folded[close[0]]!r}?)" if close else ""
    if close and len(names) > _LISTED:
        return ModelError(f"unknown {kind} {received!r}{hint}")
    listed = ", ".join(names) if names else "none"
    return ModelError(f"unknown {kind} {received!r}{hint}; there is: {listed}")
