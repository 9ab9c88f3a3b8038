"""The user's own parts of a run: what environment.json says of them."""

import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from app.configs import flags
from app.configs.commands import TrainConfig
from app.runs.folder import RunFolder
from base import files, own_parts
from base.errors import UserError


def loaded(config: TrainConfig) -> list[dict[str, str]]:
    """The parts that the flags name and what they import: path and SHA-256 of each."""
    values = flags.to_values(config).values()
    texts = [value for value in values if isinstance(value, str)]
    return own_parts.described(r for t in texts for r in own_parts.references_in(t))


def require_there(folder: RunFolder) -> None:
    """Refuses a working directory that has not the files that the run was made with.

    Raises:
      UserError: they are elsewhere.
    """
    if not folder.environment.exists():
        return
    made = files.read_json(folder.environment)
    before, here = made.get("working_directory"), os.getcwd()
    for part in made.get("own_parts", ()):
        lay = pathlib.Path(part["path"])
        if before is None or before == here or not lay.is_relative_to(before):
            continue
        if not (pathlib.Path(here) / lay.relative_to(before)).exists():
            raise UserError(
                f"--run_dir={folder.path}: {part['reference']} is part of the run, and "
                f"{lay.relative_to(before)} is not in {here}: run the command where it"
                f" is; the run was made in {before}"
            )


def tell_changes_since(folder: RunFolder, config: TrainConfig) -> None:
    """Names files that are not what the run was made with, on the error output.

    Args:
      folder: of the run.
      config: of the run, whose parts are loaded.
    """
    if folder.environment.exists():
        made = files.read_json(folder.environment)
        tell_changes([made], loaded(config))


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
