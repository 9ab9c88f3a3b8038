"""Train, validation and test: by content, so that no example is on two sides."""

from collections.abc import Mapping

import numpy as np

from base.errors import UserError
from pipelines.config import parse_fractions
from pipelines.sources.base import SPLITS, Source


def split_source(source: Source, split: str) -> dict[str, np.ndarray]:
    """Indices of each split, sorted: int64 arrays by the names in `SPLITS`.

    What the source splits itself stays; of that, 1. train, validation and test are
    taken as given; 2. without a validation split, it is cut from train, in the
    proportion of `split`'s fractions; 3. with train alone, or nothing, all three are
    cut. A test split that was neither given nor asked for is empty.
    """
    usable = usable_examples(source)
    given = {
        name: np.intersect1d(indices, usable)
        for name, indices in source.given_splits.items()
    }
    if given and "train" not in given:
        raise UserError(
            f"{source.name} has {', '.join(given)} but no training split; add train/."
        )
    if "validation" in given:
        return _sorted_splits(given)
    train, validation, test = parse_fractions(split)
    whole = given.get("train", usable)
    if "test" in given:
        total = train + validation
        train, validation, test = train / total, validation / total, 0.0
    cut = cut_by_content(
        source.content_hashes()[whole],
        source.features.target.strata(source.read_targets(whole)),
        (train, validation, test),
    )
    parts = {name: whole[indices] for name, indices in zip(SPLITS, cut, strict=True)}
    if "test" in given:
        parts["test"] = given["test"]
    return _sorted_splits(parts)


def usable_examples(source: Source) -> np.ndarray:
    """Indices of the examples that can be used: int64, sorted."""
    if source.usable is not None:
        return source.usable
    return np.arange(len(source), dtype=np.int64)


def check_splits(source: Source, splits: Mapping[str, np.ndarray], split: str) -> None:
    """Raises UserError where a part of the split is empty though it was asked for."""
    *_, test = parse_fractions(split)
    for name in SPLITS:
        wanted = name in source.given_splits or name != "test" or test > 0
        if "validation" in source.given_splits and name not in source.given_splits:
            wanted = False
        if wanted and len(splits[name]) == 0:
            raise UserError(
                f"--split={split} leaves no {name} examples of the {len(source)} in "
                f"{source.name}; give {name} a larger fraction, or add examples."
            )


def cut_by_content(
    hashes: np.ndarray, strata: np.ndarray | None, fractions: tuple[float, ...]
) -> list[np.ndarray]:
    """Cuts examples into parts by content hash, within each stratum, such as a class.

    The examples of a stratum are ranked by hash and cut at the fractions, so that parts
    are exact to one example a stratum, and depend on contents alone: on no order and no
    seed. Equal contents share a rank, and if their strata differ, the lowest one: they
    fall into one part.

    Args:
        hashes: uint8 [n, 32].
        strata: int64 [n], or None for one, as of values.
        fractions: of each part, adding up to 1.

    Returns:
        Indices of each part, int64, sorted.
    """
    keys = np.ascontiguousarray(hashes).view("S32").reshape(-1)
    # Sorted by hash, so that ranks among contents are ranks by hash.
    contents, content_of = np.unique(keys, return_inverse=True)
    stratum = np.zeros(len(contents), np.int64)
    if strata is not None:
        stratum[:] = np.iinfo(np.int64).max
        np.minimum.at(stratum, content_of, strata)
    part_of = np.zeros(len(contents), np.int64)
    bounds = np.cumsum(fractions)[:-1]
    for value in np.unique(stratum):
        members = np.flatnonzero(stratum == value)
        cuts = np.floor(bounds * len(members) + 0.5 + 1e-9)
        part_of[members] = np.searchsorted(cuts, np.arange(len(members)), side="right")
    parts = part_of[content_of]
    return [np.flatnonzero(parts == part) for part in range(len(fractions))]


def count_shared_contents(
    hashes: np.ndarray, splits: Mapping[str, np.ndarray]
) -> dict[str, int]:
    """Examples whose contents also stand in an earlier split, as `test in train`.

    Only splits that a source itself makes can share contents.
    """
    shared = {}
    for position, name in enumerate(SPLITS):
        for earlier in SPLITS[:position]:
            shared[f"{name} in {earlier}"] = count_common(
                hashes[splits[name]], hashes[splits[earlier]]
            )
    return shared


def count_common(hashes: np.ndarray, others: np.ndarray) -> int:
    """How many of the contents, uint8 [n, 32], are among the others."""
    mine, theirs = (
        np.ascontiguousarray(part).view("S32").reshape(-1) for part in (hashes, others)
    )
    return int(np.isin(mine, theirs).sum())


def _sorted_splits(splits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    empty = np.empty(0, np.int64)
    return {name: np.sort(splits.get(name, empty)).astype(np.int64) for name in SPLITS}
