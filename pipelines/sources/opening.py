"""From the name a user gives to a source."""

import difflib
from pathlib import Path

from pipelines.config import DataConfig
from pipelines.errors import DataError
from pipelines.sources.base import Source

_KNOWN = "'digits' and folders of images (CLASS/*.jpg, jpeg, png, bmp, gif)"


def open_source(config: DataConfig) -> Source:
    """The source that `config.dataset` names.

    Raises:
        DataError: there is no such source, or it holds nothing that can be used.
    """
    name = config.dataset
    path = Path(name).expanduser()
    if config.data_dir and not path.is_dir():
        path = Path(config.data_dir).expanduser() / name
    # 1. A name that is built in; 2. a folder; 3. what cannot be read, and why.
    if name == "digits":
        from pipelines.sources.digits import open_digits

        return open_digits()
    if path.is_dir():
        from pipelines.sources.folder import FolderSource

        return FolderSource(name, path)
    if path.is_file() or name.startswith("tfds:"):
        raise DataError(
            f"--dataset={name}: this kind of source cannot be read; expected one of "
            f"{_KNOWN}."
        )
    close = difflib.get_close_matches(name, ["digits"], 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise DataError(
        f"--dataset={name}: no such folder or dataset; {hint}There are {_KNOWN}."
    )
