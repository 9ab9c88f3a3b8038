"""Arrays held in memory: of a NumPy .npz file, or as they are.

Nothing in a file is unpickled.
"""

import functools
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np

from base.errors import UserError
from pipelines.features import ExampleSpec
from pipelines.sources import arrayfiles
from pipelines.sources.arrays import ArraySource
from pipelines.tf_messages import first_sentence


def open_npz(name: str, path: Path) -> ArraySource:
    """The arrays x_train, y_train, … of the file; see `arrayfiles`.

    Raises:
        UserError: it is damaged, holds Python objects, or lacks arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise UserError(f"{name} is no .npz file; expected one of np.savez.")
            read = functools.partial(_array, name, arrays)
            return _source(name, arrays.files, read)
    except UserError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{name} cannot be read ({first_sentence(str(error) or 'it is cut off')}); "
            "expected a whole .npz file of numbers."
        ) from error


def open_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> ArraySource:
    """The arrays x_train, y_train, … as a file of them would hold them.

    Raises:
        UserError: one is missing, or is not as expected.
    """
    for array, values in arrays.items():
        if values.ndim == 0:
            raise UserError(f"{array} in {name} is a single value; expected rows.")
    return _source(name, arrays, arrays.__getitem__)


def _source(
    name: str, names: Collection[str], read: Callable[[str], np.ndarray]
) -> ArraySource:
    pairs = arrayfiles.pair_names(name, names)
    found = {split: tuple(read(array) for array in pairs[split]) for split in pairs}
    inputs = {
        pairs[split][0]: arrayfiles.input_of(name, pairs[split][0], x.shape, x.dtype)
        for split, (x, _) in found.items()
    }
    kind = arrayfiles.check_together(name, inputs)
    arrayfiles.check_lengths(
        name,
        {split: (pairs[split][0], len(x), len(y)) for split, (x, y) in found.items()},
    )
    classes = arrayfiles.CLASS_NAMES
    class_names = read(classes) if classes in names else None
    targets = arrayfiles.targets_of(
        name, {pairs[split][1]: y for split, (_, y) in found.items()}, class_names
    )
    return ArraySource(
        name,
        ExampleSpec(kind, targets.feature),
        np.concatenate([kind.as_stored(x) for x, _ in found.values()]),
        targets.values,
        arrayfiles.splits_of({split: len(x) for split, (x, _) in found.items()}),
        arrayfiles.notes_of(targets),
    )


def _array(name: str, arrays: np.lib.npyio.NpzFile, array: str) -> np.ndarray:
    assert arrays.zip is not None  # it is open
    member = f"{array}.npy" if f"{array}.npy" in arrays.zip.namelist() else array
    # The zip's own word for its size, before anything is unpacked.
    arrayfiles.require_room(name, array, arrays.zip.getinfo(member).file_size)
    values = np.asarray(arrays[array])
    if values.ndim == 0:
        raise UserError(f"{array} in {name} is a single value; expected rows.")
    return values
