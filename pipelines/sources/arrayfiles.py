"""What .npz and .h5 files of arrays have in common: names, features, splits."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from base.errors import UserError
from pipelines.features import InputFeature, Recognized, registry
from pipelines.memory import available_memory
from pipelines.sources.base import TAKEN_FOR

SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
CLASS_NAMES = "classes"
_EXPECTED = "expected arrays x_train and y_train, with or without x_test, y_test…"


def pair_names(name: str, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The names of examples and targets of each split that the file has.

    Raises:
        UserError: there is no x_train, an array has no partner, or a split two names.
    """
    known = sorted(names)
    pairs: dict[str, tuple[str, str]] = {}
    for suffix, split in SPLIT_NAMES.items():
        x, y = f"x_{suffix}", f"y_{suffix}"
        present = [array for array in (x, y) if array in known]
        if len(present) == 1:
            (missing,) = {x, y} - {*present}
            raise UserError(
                f"{name} has {present[0]} without {missing}; add {missing}."
            )
        if present and split in pairs:
            raise UserError(
                f"{name} has {pairs[split][0]} and {x}, two for one split; keep one."
            )
        if present:
            pairs[split] = (x, y)
    if "train" not in pairs:
        held = ", ".join(known[:10]) or "nothing"
        raise UserError(f"{name} holds {held}; {_EXPECTED}")
    return pairs


def input_of(
    name: str, array: str, shape: Sequence[int], dtype: np.dtype
) -> InputFeature:
    """What `array` holds, told by its shape and type.

    Raises:
        UserError: it is neither uint8 images nor numbers in rows.
    """
    found = registry.input_of_array(shape[1:], dtype)
    if found is None:
        raise UserError(
            f"{array} in {name} is {dtype} {list(shape)}; expected images as uint8 "
            "[n,H,W] or [n,H,W,1 or 3] from 0 to 255, or numbers [n,features]."
        )
    return found


def check_together(name: str, inputs: Mapping[str, InputFeature]) -> InputFeature:
    """The one input of all splits, by the array's name.

    Raises:
        UserError: they differ.
    """
    (first_name, first), *others = inputs.items()
    for other_name, other in others:
        if other != first:
            raise UserError(
                f"{name}: {other_name} holds {other.kind}s of shape {other.shape}, but "
                f"{first_name} {first.kind}s of {first.shape}; expected the same."
            )
    return first


def targets_of(
    name: str, parts: Mapping[str, np.ndarray], names: np.ndarray | None
) -> Recognized:
    """Targets of all splits, one after the other: integers are classes, floats values.

    Args:
        name: of the file.
        parts: targets by array's name, [n] or [n, targets].
        names: of the classes or labels 0, 1, …, if the file has them.

    Raises:
        UserError: the targets are of no such type, or outside the classes.
    """
    found = registry.target_of_arrays(name, parts, names)
    if found is not None:
        return found
    if len({values.dtype.kind == "f" for values in parts.values()}) > 1:
        raise UserError(
            f"{name} has integer and float targets ({', '.join(parts)}); expected "
            "integers for classes, or floats for regression, in all."
        )
    array, values = next(iter(parts.items()))
    raise UserError(
        f"{array} in {name} is {values.dtype} {list(values.shape)}; expected integer "
        "classes [n], 0 and 1 [n,labels] for sets of labels, or floats [n] or "
        "[n,targets]."
    )


def notes_of(targets: Recognized) -> dict[str, Any]:
    """What dataset.json says of how targets were recognized."""
    return {TAKEN_FOR: targets.note} if targets.note else {}


def splits_of(lengths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Indices of each split, which stand one after the other."""
    ends = np.cumsum(list(lengths.values()), dtype=np.int64)
    return {
        split: np.arange(end - length, end, dtype=np.int64)
        for (split, length), end in zip(lengths.items(), ends, strict=True)
    }


def check_lengths(name: str, lengths: Mapping[str, tuple[str, int, int]]) -> None:
    """Raises UserError where examples and targets differ in number, or are none."""
    for array, examples, targets in lengths.values():
        if examples != targets or not examples:
            raise UserError(
                f"{array} in {name} has {examples} examples and {targets} targets; "
                "expected as many of one as of the other, and one or more."
            )


def require_room(name: str, array: str, size: int) -> None:
    """Raises UserError for an array that does not fit into the memory that is free."""
    free = available_memory()
    if size > free:
        raise UserError(
            f"{array} in {name} takes {size:,} bytes, and {free:,} bytes of memory are "
            "free; use HDF5, whose examples are read in part."
        )


def hashes_of(read: Callable[[np.ndarray], Any], examples: int) -> np.ndarray:
    """SHA-256 of each example's bytes: uint8 [n, 32]; read a thousand at a time."""
    digests = []
    for start in range(0, examples, 1024):
        rows = read(np.arange(start, min(start + 1024, examples)))
        digests += [hashlib.sha256(row.tobytes()).digest() for row in rows]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
