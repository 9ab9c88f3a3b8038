"""From the name a user gives to a source: `OPENERS`, the first of which fits."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from base import given, own_parts
from base.errors import UserError, did_you_mean
from pipelines.config import DataConfig
from pipelines.features import ExampleSpec
from pipelines.packed_format import MANIFEST
from pipelines.sources.base import Source

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lzma")
_OWN_FLAGS = ("target", "weights")


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is to be opened.

    Attributes:
        name: what the user said.
        path: the file or folder of that name, if it is one.
        config: of the data.
        like: features that a table's columns are to have, rather than guessed ones.
    """

    name: str
    path: Path
    config: DataConfig
    like: ExampleSpec | None = None

    @property
    def suffix(self) -> str:
        """Of the file, with its dot; empty for what is no file."""
        return self.path.suffix.lower() if self.path.is_file() else ""


@dataclasses.dataclass(frozen=True)
class Opener:
    """A kind of source.

    Attributes:
        fits: whether this is it.
        open: the source.
    """

    fits: Callable[[Asked], bool]
    open: Callable[[Asked], Source]


def open_source(config: DataConfig, like: ExampleSpec | None = None) -> Source:
    """The source that `config.dataset` names.

    Args:
        config: of the data.
        like: features that a table's columns are to have, rather than guessed ones.

    Raises:
        UserError: there is no such source, or it holds nothing that can be used.
    """
    name = config.dataset
    held: Callable[..., Source] | None = given.find("dataset", name)
    if held is not None:
        return held(config, like)
    path = Path(name).expanduser()
    if config.data_dir and not path.exists():
        path = Path(config.data_dir).expanduser() / name
    asked = Asked(name, path, config, like)
    _require_table_flags_to_fit(asked)
    opener = next((one for one in OPENERS if one.fits(asked)), None)
    if opener is not None:
        return opener.open(asked)
    if path.is_file():
        raise UserError(
            f"--dataset={name}: this kind of source cannot be read; expected one of "
            f"{_KNOWN}."
        )
    hint = did_you_mean(name, ["digits"])
    raise UserError(
        f"--dataset={name}: no such folder or dataset{hint}. There are {_KNOWN}."
    )


def _require_table_flags_to_fit(asked: Asked) -> None:
    for flag in _OWN_FLAGS:
        value = getattr(asked.config, flag)
        if value is not None and asked.path.suffix.lower() not in _TABLES:
            raise UserError(
                f"--{flag}={value}: {asked.name} is no table (*.csv, *.parquet); "
                f"leave --{flag} out."
            )


def _digits(asked: Asked) -> Source:
    from pipelines.sources.digits import open_digits

    return open_digits()


def _tfds_by_name(asked: Asked) -> Source:
    from pipelines.sources.tfds import open_named

    return open_named(asked.name, asked.config.data_dir)


def _packed_folder(asked: Asked) -> Source:
    from pipelines.sources.packed import PackedSource

    return PackedSource(asked.name, asked.path)


def _tfds_folder(asked: Asked) -> Source:
    from pipelines.sources.tfds import open_folder

    return open_folder(asked.name, asked.path)


def _image_folder(asked: Asked) -> Source:
    from pipelines.sources.folder import FolderSource

    return FolderSource(asked.name, asked.path)


def _table(asked: Asked) -> Source:
    from pipelines.sources.table import TableSource

    config = asked.config
    # What is evaluated counts each row once.
    weights = None if asked.like else config.weights
    return TableSource(
        asked.name,
        asked.path,
        config.target,
        asked.like,
        weights,
        config.max_bad_examples,
    )


def _compressed(asked: Asked) -> Source:
    raise UserError(
        f"--dataset={asked.name} is compressed, and cannot be read in place; "
        "uncompress it to a .tar (such as by gunzip) and name that."
    )


def _tar(asked: Asked) -> Source:
    from pipelines.sources.tar import TarSource

    return TarSource(asked.name, asked.path)


def _npz(asked: Asked) -> Source:
    from pipelines.sources.npz import open_npz

    return open_npz(asked.name, asked.path)


def _hdf5(asked: Asked) -> Source:
    from pipelines.sources.hdf5 import HDF5Source

    return HDF5Source(asked.name, asked.path)


def _own(asked: Asked) -> Source:
    from pipelines.sources.own import open_own

    return open_own(asked.name)


def _is_compressed(asked: Asked) -> bool:
    return asked.path.is_file() and asked.path.name.lower().endswith(_COMPRESSED)


def _is_own(asked: Asked) -> bool:
    return own_parts.is_reference(asked.name) and not asked.path.exists()


_TABLES = (".csv", ".parquet")
# What is built in comes before what is on the disk, and of folders, what says what it
# is before what does not.
OPENERS: tuple[Opener, ...] = (
    Opener(lambda asked: asked.name == "digits", _digits),
    Opener(lambda asked: asked.name.startswith("tfds:"), _tfds_by_name),
    Opener(lambda asked: (asked.path / MANIFEST).is_file(), _packed_folder),
    Opener(lambda asked: (asked.path / "dataset_info.json").is_file(), _tfds_folder),
    Opener(lambda asked: asked.path.is_dir(), _image_folder),
    Opener(lambda asked: asked.suffix in _TABLES, _table),
    Opener(_is_compressed, _compressed),
    Opener(lambda asked: asked.suffix == ".tar", _tar),
    Opener(lambda asked: asked.suffix == ".npz", _npz),
    Opener(lambda asked: asked.suffix in (".h5", ".hdf5"), _hdf5),
    Opener(_is_own, _own),
)
_KNOWN = (
    "'digits', tfds:NAME, folders of images (CLASS/*.jpg, jpeg, png, bmp, gif) or "
    "packed, files *.tar, *.npz, *.h5, *.hdf5, *.csv, *.parquet, and your own "
    f"{own_parts.FORM}"
)
