"""Atelier's caches on this machine: what the process's environment says of them."""

import os
import pathlib

from base import caches


def folder() -> pathlib.Path | None:
    """Where they lie; None where there is no place for them."""
    return caches.folder(os.environ)


def keep_file_facts() -> None:
    """Has what is known of data files kept for the user's next start."""
    from pipelines import filecache

    if (place := folder()) is not None:
        filecache.keep_in(place / "files")
