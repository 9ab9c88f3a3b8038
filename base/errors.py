"""Kinds of failure that end a command, with the exit status each one means.

And how a misspelt name is answered.
"""

import difflib
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER_MISTAKE = 2
EXIT_INTERRUPTED = 75

# A longer list of names would bury the suggestion.
_LISTED = 20


class UserError(ValueError):
    """The user's mistake, in one line: received, expected, what to do. Exit 2."""

    kind = "user_mistake"


class InUse(UserError):
    """Another process holds what the user named. Exit 2."""

    kind = "in_use"


class UnreadableExample(UserError):
    """An example that turned out to be damaged when a step needed it. Exit 2."""

    kind = "unreadable_example"


class Interrupted(Exception):
    """The run stopped early and the same command goes on with it. Exit 75."""

    kind = "interrupted"


class DiskFailure(Interrupted):
    """The disk is full, over quota, read-only or broken. Exit 75."""

    kind = "disk_full"


class Paused(Interrupted):
    """The run was paused because that was asked for, and is saved."""


class TrainingFailed(Exception):
    """The run cannot go on. Exit 1."""

    kind = "training_failed"


class NonFinite(TrainingFailed):
    """A loss, a gradient or a metric was not finite. Exit 1."""

    kind = "non_finite"


class ExportRefused(Exception):
    """Nothing was published: what would serve is not what was trained. Exit 1."""


def closest(received: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `received` may have been meant for, or None."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(received.casefold(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None


def did_you_mean(received: str, known: Iterable[str]) -> str:
    """` (did you mean 'NAME'?)`, or nothing where none of `known` is near."""
    name = closest(received, known)
    return f" (did you mean {name!r}?)" if name else ""


def unknown(kind: str, received: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not one of `known`, with the closest one to it.

    Args:
      kind: what the name names, such as "model" or "resnet argument".
      received: the name as the user wrote it.
      known: the names there are.
    """
    names = list(known)
    hint = did_you_mean(received, names)
    if hint and len(names) > _LISTED:
        return UserError(f"unknown {kind} {received!r}{hint}")
    listed = ", ".join(names) if names else "none"
    return UserError(f"unknown {kind} {received!r}{hint}; there is: {listed}")
