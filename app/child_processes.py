"""How a Python process that this one starts finds Atelier."""

import os
import pathlib


def find_rooms_first() -> None:
    """Lets processes started from now on import Atelier's rooms before other files.

    Python looks into the working directory first, where a user's `models.py` may lie.
    """
    root = pathlib.Path(__file__).resolve().parents[1]
    os.environ["PYTHONSAFEPATH"] = "1"
    if root.name in ("site-packages", "dist-packages"):
        return  # found anyway, and after the standard library
    before = os.environ.get("PYTHONPATH")
    paths = [str(root), *(before.split(os.pathsep) if before else [])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
