"""Where Atelier keeps what it can do without: the XDG base directory specification."""

import os
import pathlib


def keep_file_facts() -> None:
    """Has what is known of data files kept for the user's next start."""
    from pipelines import filecache

    base = os.environ.get("XDG_CACHE_HOME", "")
    home = pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) if os.path.isabs(base) else home
    filecache.keep_in(folder / "atelier" / "files")
