"""The user's own parts of a run: what environment.json says of them."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from app.configs import flags
from app.configs.commands import TrainConfig
from base import own_parts


def loaded(config: TrainConfig) -> list[dict[str, str]]:
    """The parts that the flags name and what they import: path and SHA-256 of each."""
    values = flags.to_values(config).values()
    texts = [value for value in values if isinstance(value, str)]
    return own_parts.described(r for t in texts for r in own_parts.references_in(t))


def tell_changes(
    starts: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, str]]
) -> None:
    """Names the files that are not what they were, on the error output.

    Args:
      starts: of the run before, as in environment.json; the last one counts.
      now: the parts that are loaded.
    """
    for start in starts[-1:]:
        for line in own_parts.changes(start.get("own_parts", ()), now):
            print(f"note: {line}", file=sys.stderr)
