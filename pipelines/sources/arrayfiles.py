"""What .npz and .h5 files of arrays have in common: names, kinds, targets, splits."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from base.errors import UserError
from pipelines.features import Features
from pipelines.memory import available_memory

SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
CLASS_NAMES = "classes"
_EXPECTED = "expected arrays x_train and y_train, with or without x_test, y_test…"


class Kind(NamedTuple):
    """What an array of examples holds, its rows left out.

    Attributes:
        kind: `image` or `vector`.
        shape: of one example.
    """

    kind: str
    shape: tuple[int, ...]


class Labels(NamedTuple):
    """Targets as a source has them: `classes` is empty for regression."""

    targets: np.ndarray
    classes: tuple[str, ...]


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


def kind_of(name: str, array: str, shape: Sequence[int], dtype: np.dtype) -> Kind:
    """What `array` holds, told by its shape and type.

    Raises:
        UserError: it is neither uint8 images nor numbers in rows.
    """
    size = tuple(shape[1:])
    if dtype == np.uint8 and len(size) == 2:
        return Kind("image", (*size, 1))
    if dtype == np.uint8 and len(size) == 3 and size[2] in (1, 3):
        return Kind("image", size)
    if dtype.kind in "iufb" and len(size) == 1:
        return Kind("vector", size)
    raise UserError(
        f"{array} in {name} is {dtype} {list(shape)}; expected images as uint8 "
        "[n,H,W] or [n,H,W,1 or 3] from 0 to 255, or numbers [n,features]."
    )


def check_together(name: str, kinds: Mapping[str, tuple[str, Kind]]) -> Kind:
    """The one kind of all splits, by split and the array's name.

    Raises:
        UserError: they differ.
    """
    (first_name, first), *others = kinds.values()
    for other_name, other in others:
        if other != first:
            raise UserError(
                f"{name}: {other_name} holds {other.kind}s of shape {other.shape}, but "
                f"{first_name} {first.kind}s of {first.shape}; expected the same."
            )
    return first


def labels_of(
    name: str, parts: Mapping[str, np.ndarray], classes: np.ndarray | None
) -> Labels:
    """Targets of all splits, one after the other: integers are classes, floats values.

    Args:
        name: of the file.
        parts: targets by array's name, [n] or [n, targets].
        classes: names of the classes 0, 1, …, if the file has them.

    Raises:
        UserError: the targets are of no such type, or outside the classes.
    """
    for array, values in parts.items():
        if values.dtype.kind not in "iubf" or values.ndim not in (1, 2):
            raise UserError(
                f"{array} in {name} is {values.dtype} {list(values.shape)}; expected "
                "integer classes [n], or floats [n] or [n,targets]."
            )
    kinds = {values.dtype.kind == "f" for values in parts.values()}
    if len(kinds) > 1:
        raise UserError(
            f"{name} has integer and float targets ({', '.join(parts)}); expected "
            "integers for classes, or floats for regression, in all."
        )
    return (
        _values_of(name, parts)
        if kinds == {True}
        else _classes_of(name, parts, classes)
    )


def _values_of(name: str, parts: Mapping[str, np.ndarray]) -> Labels:
    columns = {values[:1].size if values.ndim == 2 else 1 for values in parts.values()}
    if len(columns) > 1 or 0 in columns:
        raise UserError(
            f"{name}: {', '.join(parts)} differ in their number of targets, or have "
            "none; expected the same."
        )
    (count,) = columns
    found = [values.reshape(-1, count).astype(np.float32) for values in parts.values()]
    for array, values in zip(parts, found, strict=True):
        bad = np.flatnonzero(~np.isfinite(values).all(1))
        if len(bad):
            raise UserError(
                f"{array}[{bad[0]}] in {name} is not finite; replace or remove it."
            )
    return Labels(np.concatenate(found), ())


def _classes_of(
    name: str, parts: Mapping[str, np.ndarray], classes: np.ndarray | None
) -> Labels:
    for array, values in parts.items():
        if values.ndim == 2 and values.shape[1] != 1:
            raise UserError(
                f"{array} in {name} has {values.shape[1]} integers a row; expected "
                "one, the class's number."
            )
    found = np.concatenate([values.reshape(-1) for values in parts.values()])
    found = found.astype(np.int64)
    if classes is None:
        numbers, found = np.unique(found, return_inverse=True)
        names = tuple(str(number) for number in numbers)
    else:
        names = tuple(str(text) for text in classes)
        if len(found) and not (found.min() >= 0 and found.max() < len(names)):
            raise UserError(
                f"{name}: targets go from {found.min()} to {found.max()}, but "
                f"`{CLASS_NAMES}` names {len(names)}; expected 0 to {len(names) - 1}."
            )
    if len(names) < 2:
        raise UserError(f"{name} has {len(names)} class; expected two or more.")
    return Labels(found.astype(np.int64), names)


def features_of(kind: Kind, labels: Labels) -> Features:
    """The features of a file of arrays."""
    regression = not labels.classes
    return Features(
        kind=kind.kind,  # type: ignore[arg-type]
        shape=kind.shape,
        task="regression" if regression else "classification",
        classes=labels.classes,
        targets=labels.targets.shape[1] if regression else 1,
    )


def as_examples(rows: np.ndarray, kind: Kind) -> np.ndarray:
    """Rows of a file as examples: uint8 [k,H,W,C], or float32 [k,F]."""
    if kind.kind == "image":
        return rows.reshape(len(rows), *kind.shape)
    return np.ascontiguousarray(rows, dtype=np.float32)


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
