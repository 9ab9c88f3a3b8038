"""What sources of encoded images share: classes from a tree, a look at each file."""

import abc
import collections
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import tensorflow as tf

from base.cores import available_cores
from base.errors import UserError
from pipelines import filecache, preprocessing
from pipelines.features import ClassLabel, ExampleSpec, Image
from pipelines.headers import HeaderError, ImageHeader, read_header
from pipelines.sources import tree
from pipelines.sources.base import TargetsInMemory
from pipelines.tf_messages import first_sentence

_T = TypeVar("_T")
_R = TypeVar("_R")
_NAMED = 5  # ignored files that are named; the rest is counted
_CHUNK = 1024  # images that are decoded before the bad ones are counted
_RUN = 32  # images that a thread takes at a time to look at them

# SHA-256 and header of an image, or what is wrong with it.
Facts = tuple[bytes, ImageHeader | HeaderError]


class EncodedSource(TargetsInMemory):
    """Encoded images, by index; sizes and hashes are known once examined."""

    encoded = True
    _path: Path
    _hashes: np.ndarray | None = None

    def _take(self, groups: Sequence[tree.Group], ignored: Sequence[str]) -> None:
        """Makes classes, targets and splits of a tree's groups.

        Raises:
            UserError: there are no classes of images.
        """
        tree.check_classes(self.name, groups)
        classes = sorted({group.label for group in groups})
        index_of = {label: index for index, label in enumerate(classes)}
        labels = [index_of[group.label] for group in groups for _ in group.paths]
        self.hold_targets(np.array(labels, np.int64))
        self.given_splits = tree.indices_by_split(groups)
        self.features = ExampleSpec(Image((None, None, 3)), ClassLabel((*classes,)))
        self.notes = {
            "ignored_files": {
                "count": len(ignored),
                "first": sorted(ignored)[:_NAMED],
            }
        }

    def examine(self, max_pixels: int, allowed: int = 0) -> None:
        """Reads every image once: its hash, its size, whether it is whole.

        What an earlier start has read of files that did not change is not read again.

        If some may be left out, every image is decoded as well: what only decoding
        tells would otherwise be found after the splits are cut.

        Raises:
            UserError: one more than `allowed` is empty, truncated, unreadable, of no
                known format, or of more than `max_pixels`.
        """
        if self._hashes is not None:
            return
        if allowed:
            self._examine_leniently(max_pixels, allowed)
            return
        facts = self._facts()
        self._require_few_pixels(facts["header"], max_pixels)
        self._hashes = np.ascontiguousarray(facts["sha256"]).view(np.uint8)
        self._hashes = self._hashes.reshape(-1, hashlib.sha256().digest_size)
        self._complete_features(facts["header"].astype(np.int64))

    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each file: uint8 [n, 32]; known once examined."""
        if self._hashes is None:
            raise ValueError(f"{self.name} has not been examined")
        return self._hashes

    def _examine_leniently(self, max_pixels: int, allowed: int) -> None:
        """Leaves out up to `allowed` images that cannot be used.

        Raises:
            UserError: there are more, or no other ones.
        """
        look = functools.partial(self._look, max_pixels)
        looks: list[_Look] = []
        problems: dict[int, str] = {}
        with ThreadPoolExecutor(len(available_cores())) as pool:
            for start in range(0, len(self), _CHUNK):
                chunk = range(start, min(start + _CHUNK, len(self)))
                for index, one in zip(chunk, pool.map(look, chunk), strict=True):
                    looks.append(one)
                    if one.problem is not None:
                        problems[index] = one.problem
                if len(problems) > allowed:
                    raise UserError(
                        f"{list(problems.values())[allowed]} It is bad example "
                        f"{allowed + 1}, more than --max_bad_examples={allowed}."
                    )
        good = np.array([one.problem is None for one in looks])
        if not good.any():
            raise UserError(f"{self.name} holds no image that can be used.")
        self.left_out = list(problems.values())
        self.usable = np.flatnonzero(good)
        hashes = b"".join(one.digest for one in looks)
        self._hashes = np.frombuffer(hashes, np.uint8).reshape(-1, 32)
        headers = np.array([one.header for one in looks], np.int64)
        self._complete_features(headers[good])

    def _look(self, max_pixels: int, index: int) -> "_Look":
        """What an image is, or why it cannot be used; decoded to find out."""
        where = self.describe(index)
        try:
            (contents,) = self.read(np.array([index]))
        except OSError as error:
            return _Look(problem=f"{where} cannot be read: {error.strerror}.")
        digest = hashlib.sha256(contents).digest()
        try:
            header = read_header(contents)
            check_pixels(where, header, max_pixels)
            preprocessing.decode_image(tf.constant(contents), channels=3)
        except HeaderError as error:
            return _Look(digest, problem=f"{where} {error}.")
        except UserError as error:
            return _Look(digest, problem=str(error))
        except tf.errors.OpError as error:
            reason = first_sentence(error.message)
            return _Look(digest, problem=f"{where} cannot be decoded ({reason}).")
        return _Look(digest, (header.height, header.width, header.channels))

    @abc.abstractmethod
    def read(self, indices: np.ndarray) -> list[bytes]:
        """The images at `indices`, encoded."""

    def lookup(self, indices: tf.Tensor) -> tf.Tensor:
        """The images at `indices` [k]: string [k]; by Python, not by TensorFlow."""
        return look_up(self.read, indices)

    def _identities(self) -> filecache.Identities | None:
        """What tells whether the images have changed since they were read, if any."""
        return None

    def _facts(self) -> np.ndarray:
        """Hashes and headers of all: those that are known, the others read.

        Raises:
            UserError: an image that is read is none, or there is no file.
        """
        try:
            identities = self._identities()
        except OSError as error:
            reason = error.strerror
            raise UserError(f"{error.filename} cannot be read: {reason}.") from error
        if identities is None:
            facts = np.zeros(len(self), filecache.FACTS)
            self._look_at(np.arange(len(self)), facts)
            return facts
        cache = filecache.FileCache(self._path)
        known, facts = cache.find(identities)
        unknown = np.flatnonzero(~known)
        if len(unknown):
            self._look_at(unknown, facts)
            cache.save(identities, facts)
        return facts

    def _read_facts(self, indices: np.ndarray) -> Iterator[Facts]:
        """SHA-256 and header of each of the images."""
        return in_parallel(facts_of, map(self.read, runs_of(indices)))

    def _look_at(self, indices: np.ndarray, facts: np.ndarray) -> None:
        """Reads images and fills their rows in `facts`.

        Raises:
            UserError: one is no whole image.
        """
        digests, headers = [], []
        for index, (digest, header) in zip(
            indices, self._read_facts(indices), strict=True
        ):
            if isinstance(header, HeaderError):
                where = self.describe(int(index))
                raise UserError(f"{where} {header}; replace or remove it.")
            digests.append(digest)
            headers.append(header)
        kind = filecache.FACTS["sha256"]
        facts["sha256"][indices] = np.frombuffer(b"".join(digests), kind)
        facts["header"][indices] = headers

    def _require_few_pixels(self, headers: np.ndarray, max_pixels: int) -> None:
        height, width, _, frames = headers.astype(np.int64).T
        large = np.flatnonzero(height * width * frames > max_pixels)
        if len(large):
            header = ImageHeader(*headers[large[0]].tolist())
            check_pixels(self.describe(int(large[0])), header, max_pixels)

    def _complete_features(self, headers: np.ndarray) -> None:
        """Takes the images' shape from their headers, int64 [n, …]."""
        height, width = (
            int(sides[0]) if np.all(sides == sides[0]) else None
            for sides in (headers[:, 0], headers[:, 1])
        )
        if height is None or width is None:
            height = width = None
        shape = (height, width, int(headers[:, 2].max()))
        self.features = ExampleSpec(Image(shape), self.features.target)


@dataclasses.dataclass(frozen=True)
class _Look:
    """What a look at an image told: its hash and size, or what is wrong with it."""

    digest: bytes = bytes(32)
    header: tuple[int, int, int] = (0, 0, 0)
    problem: str | None = None


def look_up(read: Callable[[np.ndarray], list[bytes]], indices: tf.Tensor) -> tf.Tensor:
    """What `read`, in Python, gives at `indices` [k], inside a graph: string [k]."""
    contents = tf.numpy_function(
        lambda wanted: np.array(read(wanted), object),
        [indices],
        tf.string,
        stateful=False,
    )
    return tf.ensure_shape(contents, indices.shape)


def check_pixels(path: str, header: ImageHeader, max_pixels: int) -> None:
    """Raises UserError for an image that is too large to decode."""
    if header.pixels > max_pixels:
        frames = f" in {header.frames} frames" if header.frames > 1 else ""
        raise UserError(
            f"{path} has {header.height}×{header.width} pixels{frames}, more than "
            f"--max_pixels={max_pixels}; raise it, or remove the image."
        )


def runs_of(indices: np.ndarray) -> Iterator[np.ndarray]:
    """The indices in runs that are worth handing to a thread."""
    for start in range(0, len(indices), _RUN):
        yield indices[start : start + _RUN]


def facts_of(run: Sequence[bytes]) -> list[Facts]:
    """SHA-256 and header of each, or what is wrong with it."""
    found: list[Facts] = []
    for contents in run:
        try:
            header: ImageHeader | HeaderError = read_header(contents)
        except HeaderError as error:
            header = error
        found.append((hashlib.sha256(contents).digest(), header))
    return found


def in_parallel(
    work: Callable[[_T], list[_R]], parts: Iterable[_T], workers: int | None = None
) -> Iterator[_R]:
    """Results in order, by so many threads or one for each core.

    For what holds no lock, such as hashing. Unlike Executor.map it takes no more of
    `parts` than it works on.
    """
    workers = workers or len(available_cores())
    waiting: collections.deque[Future[list[_R]]] = collections.deque()
    with ThreadPoolExecutor(workers) as pool:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
