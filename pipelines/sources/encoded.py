"""What sources of encoded images share: classes from a tree, a look at each file."""

import abc
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.errors import DataError
from pipelines.features import Features
from pipelines.headers import HeaderError, ImageHeader, read_header
from pipelines.sources import tree
from pipelines.sources.base import Source

_NAMED = 5  # ignored files that are named; the rest is counted


class EncodedSource(Source):
    """Encoded images, by index; sizes and hashes are known once examined."""

    encoding = "image"
    _hashes: np.ndarray | None = None

    def _take(self, groups: Sequence[tree.Group], ignored: Sequence[str]) -> None:
        """Makes classes, targets and splits of a tree's groups.

        Raises:
            DataError: there are no classes of images.
        """
        tree.check_classes(self.name, groups)
        classes = sorted({group.label for group in groups})
        index_of = {label: index for index, label in enumerate(classes)}
        labels = [index_of[group.label] for group in groups for _ in group.paths]
        self.targets = np.array(labels, np.int64)
        self.given_splits = tree.indices_by_split(groups)
        self.features = Features(
            "image", (None, None, 3), "classification", (*classes,)
        )
        self.notes = {
            "ignored_files": {
                "count": len(ignored),
                "first": sorted(ignored)[:_NAMED],
            }
        }

    def examine(self, max_pixels: int) -> None:
        """Reads every image once: its hash, its size, whether it is whole.

        Raises:
            DataError: one is empty, truncated, unreadable, of no known format, or of
                more than `max_pixels`.
        """
        if self._hashes is not None:
            return
        hashes, found = [], []
        for index, contents in enumerate(self._contents()):
            try:
                header = read_header(contents)
            except HeaderError as error:
                where = self.describe(index)
                raise DataError(f"{where} {error}; replace or remove it.") from None
            if header.height * header.width > max_pixels:
                check_pixels(self.describe(index), header, max_pixels)
            hashes.append(hashlib.sha256(contents).digest())
            found.append(header)
        self._hashes = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)
        self._complete_features(np.array(found, np.int64))

    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each file: uint8 [n, 32]; known once examined."""
        if self._hashes is None:
            raise ValueError(f"{self.name} has not been examined")
        return self._hashes

    @abc.abstractmethod
    def _contents(self) -> Iterator[bytes]:
        """The encoded images in order, read ahead where that is faster."""

    def _complete_features(self, headers: np.ndarray) -> None:
        """Takes the images' shape from their headers, int64 [n, 3]."""
        height, width = (
            int(sides[0]) if np.all(sides == sides[0]) else None
            for sides in (headers[:, 0], headers[:, 1])
        )
        if height is None or width is None:
            height = width = None
        shape = (height, width, int(headers[:, 2].max()))
        self.features = dataclasses.replace(self.features, shape=shape)


def check_pixels(path: str, header: ImageHeader, max_pixels: int) -> None:
    """Raises DataError for an image that is too large to decode."""
    if header.height * header.width > max_pixels:
        raise DataError(
            f"{path} has {header.height}×{header.width} pixels, more than --max_pixels="
            f"{max_pixels}; raise it, or remove the image."
        )
