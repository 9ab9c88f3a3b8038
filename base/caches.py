"""Where a user's caches lie: what can be removed at any time, and made again.

Source: XDG Base Directory Specification 0.8, XDG_CACHE_HOME.
"""

import pathlib
from collections.abc import Mapping

_NAME = "atelier"


def folder(environment: Mapping[str, str]) -> pathlib.Path | None:
    """The folder of Atelier's caches, which need not exist yet.

    None where the user has no home, as in a container that runs as a number that no
    one has: nothing is kept there then.

    Args:
      environment: the process's variables.
    """
    given = pathlib.Path(environment.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():  # the specification has relative paths ignored
        return given / _NAME
    try:
        home = pathlib.Path.home()
    except RuntimeError:
        return None
    return home / ".cache" / _NAME if home.is_absolute() else None
