"""CLASS/*.jpg with or without train/, validation/, test/ above: what such a tree means.

The rules for names, whatever holds them: a folder on disk or an archive.
"""

import collections
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from base.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}


class Group(NamedTuple):
    """The images of one class in one split.

    Attributes:
        split: None where the tree makes no splits.
        label: the name of the class.
        paths: sorted.
    """

    split: str | None
    label: str
    paths: list[str]


class Tree(NamedTuple):
    """Groups in the order of split and class, and the files that are no images."""

    groups: list[Group]
    ignored: list[str]


def check_split_folders(place: str, folders: Sequence[str]) -> None:
    """Checks the names of the folders where one is called `train`.

    Raises:
        UserError: two are for one split, or some are for none.
    """
    splits = [name for name in folders if name in SPLIT_FOLDERS]
    if len({SPLIT_FOLDERS[name] for name in splits}) < len(splits):
        raise UserError(
            f"{place} has {', '.join(sorted(splits))}: two folders for one split; "
            "keep one of them."
        )
    others = set(folders) - set(splits)
    if others:
        raise UserError(
            f"{place} has {', '.join(sorted(others))} beside {', '.join(splits)}; "
            "expected split folders only, or class folders only."
        )


def in_order(splits: Iterable[str]) -> list[str]:
    """Names of split folders in the order of train, validation, test."""
    return sorted(splits, key=list(SPLIT_FOLDERS).index)


def arrange(name: str, paths: Iterable[str]) -> Tree:
    """The tree that relative paths such as `train/cat/1.jpg` make.

    Names that begin with a dot are left out. One folder that holds everything else is
    passed over, unless it is a split.

    Raises:
        UserError: split folders and others stand side by side.
    """
    parts = [tuple(path.split("/")) for path in paths]
    parts = [part for part in parts if not any(step.startswith(".") for step in part)]
    tops = {part[0] for part in parts}
    prefix = ""
    within = all(len(part) > 1 for part in parts) and max(map(len, parts), default=0)
    if len(tops) == 1 and within > 2 and "train" not in tops:
        prefix = f"{tops.pop()}/"
        parts = [part[1:] for part in parts]
    folders = sorted({part[0] for part in parts if len(part) > 1})
    divided = "train" in folders
    if divided:
        check_split_folders(name, folders)
    found: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    ignored = []
    for part in parts:
        path = prefix + "/".join(part)
        depth = 2 if divided else 1
        if len(part) > depth and path.lower().endswith(IMAGE_SUFFIXES):
            found[part[0] if divided else "", part[depth - 1]].append(path)
        else:
            ignored.append(path)
    order = in_order(folders) if divided else [""]
    groups = [
        Group(SPLIT_FOLDERS.get(split), label, sorted(found[split, label]))
        for split in order
        for label in sorted(label for place, label in found if place == split)
    ]
    return Tree(groups, sorted(ignored))


def check_classes(name: str, groups: Sequence[Group]) -> None:
    """Checks that there are classes, the same in every split, and images in each.

    Raises:
        UserError: there are not.
    """
    if not any(group.paths for group in groups):
        raise UserError(
            f"--dataset={name} holds no images; expected CLASS/*.jpg (jpeg, png, bmp, "
            "gif), with or without train/, validation/, test/ above."
        )
    for group in groups:
        if not group.paths:
            place = os.path.join(*filter(None, (name, group.split, group.label)))
            raise UserError(f"{place} holds no images; add some, or remove the class.")
    classes = {group.label for group in groups}
    if len(classes) < 2:
        raise UserError(
            f"--dataset={name} has one class, {groups[0].label}; expected two or more."
        )
    found = collections.defaultdict(set)
    for group in groups:
        found[group.split].add(group.label)
    for split, labels in found.items():
        missing = sorted(classes - labels)
        if missing:
            raise UserError(
                f"{name}: class {missing[0]} is missing in {split}, but not in the "
                "other splits; expected the same classes in each."
            )


def indices_by_split(groups: Sequence[Group]) -> dict[str, np.ndarray]:
    """Indices of the examples of each split, int64; empty where there are none."""
    sizes: dict[str, int] = {}
    for group in groups:
        if group.split is not None:
            sizes[group.split] = sizes.get(group.split, 0) + len(group.paths)
    ends = np.cumsum(list(sizes.values()), dtype=np.int64)
    return {
        split: np.arange(end - size, end, dtype=np.int64)
        for (split, size), end in zip(sizes.items(), ends, strict=True)
    }
