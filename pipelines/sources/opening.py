"""From the name a user gives to a source."""

from pathlib import Path

from base.errors import UserError, did_you_mean
from pipelines.config import DataConfig
from pipelines.features import Features
from pipelines.sources.base import Source

_KNOWN = (
    "'digits', tfds:NAME, folders of images (CLASS/*.jpg, jpeg, png, bmp, gif) or "
    "packed, files *.tar, *.npz, *.h5, *.hdf5, *.csv, *.parquet"
)
_TABLES = (".csv", ".parquet")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lzma")


def open_source(config: DataConfig, like: Features | None = None) -> Source:
    """The source that `config.dataset` names.

    Args:
        config: of the data.
        like: features that a table's columns are to have, rather than guessed ones.

    Raises:
        UserError: there is no such source, or it holds nothing that can be used.
    """
    name = config.dataset
    path = Path(name).expanduser()
    if config.data_dir and not path.exists():
        path = Path(config.data_dir).expanduser() / name
    _require_table_flags_to_fit(config, path)
    # 1. A name that is built in, or TFDS's; 2. a folder, packed, of TFDS or of images;
    # 3. a file by its suffix; 4. what cannot be read, and why.
    if name == "digits":
        from pipelines.sources.digits import open_digits

        return open_digits()
    if name.startswith("tfds:"):
        from pipelines.sources.tfds import open_named

        return open_named(name, config.data_dir)
    if path.is_dir():
        return _open_folder(name, path)
    if path.is_file() and path.suffix.lower() in _TABLES:
        from pipelines.sources.table import TableSource

        # What is evaluated counts each row once.
        weights = None if like else config.weights
        allowed = config.max_bad_examples
        return TableSource(name, path, config.target, like, weights, allowed)
    if path.is_file() and (source := _open_file(name, path)):
        return source
    if path.is_file():
        raise UserError(
            f"--dataset={name}: this kind of source cannot be read; expected one of "
            f"{_KNOWN}."
        )
    hint = did_you_mean(name, ["digits"])
    raise UserError(
        f"--dataset={name}: no such folder or dataset{hint}. There are {_KNOWN}."
    )


def _require_table_flags_to_fit(config: DataConfig, path: Path) -> None:
    for flag in ("target", "weights"):
        value = getattr(config, flag)
        if value is not None and path.suffix.lower() not in _TABLES:
            raise UserError(
                f"--{flag}={value}: {config.dataset} is no table (*.csv, *.parquet); "
                f"leave --{flag} out."
            )


def _open_folder(name: str, path: Path) -> Source:
    """A folder that was packed, one of TFDS, or one of images."""
    if (path / "atelier.json").is_file():
        from pipelines.sources.packed import PackedSource

        return PackedSource(name, path)
    if (path / "dataset_info.json").is_file():
        from pipelines.sources.tfds import open_folder

        return open_folder(name, path)
    from pipelines.sources.folder import FolderSource

    return FolderSource(name, path)


def _open_file(name: str, path: Path) -> Source | None:
    """The file as a source, or None if its suffix is not known."""
    if path.name.lower().endswith(_COMPRESSED):
        raise UserError(
            f"--dataset={name} is compressed, and cannot be read in place; uncompress "
            "it to a .tar (such as by gunzip) and name that."
        )
    match path.suffix.lower():
        case ".tar":
            from pipelines.sources.tar import TarSource

            return TarSource(name, path)
        case ".npz":
            from pipelines.sources.npz import open_npz

            return open_npz(name, path)
        case ".h5" | ".hdf5":
            from pipelines.sources.hdf5 import HDF5Source

            return HDF5Source(name, path)
    return None
