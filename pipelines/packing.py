"""Packs a dataset: into a folder that TensorFlow Datasets opens, an HDF5 file or a tar.

Read `pack` first. A folder is written aside, shard by shard; a start that finds whole
shards of the same dataset keeps them. What is complete is renamed into place.
"""

import dataclasses
import functools
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from base import files, locking
from base.errors import UserError
from pipelines import serialization, shards, tfds_folder
from pipelines.dataset import open_dataset
from pipelines.features import ExampleSpec
from pipelines.packconfig import PackConfig
from pipelines.packed_format import CONTENT_HASHES, MANIFEST, PROGRESS, TARGETS
from pipelines.sources.base import SPLITS
from pipelines.sources.opening import open_source
from pipelines.sources.packed import PackedSource
from pipelines.tfds_folder import Part

_VERSION = 2
_CHUNK = 256
_SUFFIX_OF = {b"\xff\xd8": "jpg", b"\x89P": "png", b"BM": "bmp", b"GI": "gif"}


class PackPaused(Exception):
    """A pause was asked for; what is written so far is kept."""


def pack(
    config: PackConfig, paused: Callable[[], bool], tell: Callable[[str], None]
) -> Path:
    """Writes the dataset that `config` describes; returns what was written.

    Args:
        config: source and form.
        paused: asked between chunks of examples.
        tell: told a line of progress.

    Raises:
        UserError: the source is not fit, there is something else in the way, or
            another process is packing there.
        PackPaused: `paused` said so; the same call goes on.
    """
    output = _output(config)
    with locking.alone(output, "--pack_dir"):
        if output.exists() and not (output / MANIFEST).is_file():
            raise UserError(
                f"--pack_dir={output} is there already; remove it, or name another."
            )
        packer = Packer(config, paused, tell)
        if not output.exists():
            aside = output.with_name(f".{output.name}.partial")
            packer.write(aside)
            files.move(aside, output)
        packer.require_complete(output)
    return output


def verify(config: PackConfig) -> int:
    """Reads a packed folder back and compares it; returns the number of examples.

    Raises:
        UserError: it is damaged, or holds other examples than the source.
    """
    output = _output(config)
    if not output.is_dir():
        raise UserError(
            f"--pack_dir={output} is no packed folder; --verify checks one that "
            "--format=array_record or tfrecord made."
        )
    packed = PackedSource(str(output), output)
    packer = Packer(config, lambda: False, lambda line: None)
    if packed.encoded and not packer.encoded:
        raise UserError(f"{output} holds encoded images; leave --decode out.")
    at = 0
    for split in SPLITS:
        for start in range(0, packer.dataset.split_sizes[split], _CHUNK):
            examples, targets = packer.read(split, start, start + _CHUNK)
            rows = np.arange(at, at + len(examples))
            theirs = zip(packed.read(rows), packed.read_targets(rows), strict=True)
            mine = zip(examples, targets, strict=True)
            for row, one, other in zip(rows, mine, theirs, strict=True):
                if not all(map(_same, one, other)):
                    name = packer.dataset.names(split)[start + row - at]
                    raise UserError(
                        f"{packed.describe(int(row))} is not {name}; pack it again."
                    )
            at += len(examples)
    if at != len(packed):
        raise UserError(
            f"{output} holds {len(packed)} examples, but {config.dataset} {at}; pack "
            "it again."
        )
    return at


class Packer:
    """A dataset, opened to be packed.

    Attributes:
        dataset: examined and split.
        encoded: whether encoded images are stored as they are.
        features: of what is stored.
    """

    def __init__(
        self,
        config: PackConfig,
        paused: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        self._config = config
        self._paused = paused
        self._tell = tell
        self.encoded = self._stays_encoded()
        self.dataset = open_dataset(self._data())
        for line in self.dataset.bad_examples:
            tell(f"left out: {line}")
        self.features = self._features()

    def write(self, path: Path) -> None:
        """Writes what is packed, on top of what an earlier start has left there."""
        if self._config.format in shards.FORMATS:
            self._write_folder(path)
        else:
            self._write_file(path)

    def require_complete(self, output: Path) -> None:
        """Takes away what only an unfinished folder needs.

        Raises:
            UserError: what is there was packed from other data or by other flags.
        """
        if not output.is_dir():
            return
        manifest = json.loads((output / MANIFEST).read_text())
        if manifest.get("version") != _VERSION:
            raise UserError(
                f"--pack_dir={output} is there already, packed by an earlier version "
                "of Atelier, which can be read as it is; to pack again, remove it, "
                "or name another."
            )
        if manifest.get("plan") != self._plan:
            raise UserError(
                f"--pack_dir={output} is there already, packed from other data or by "
                "other flags; remove it, or name another."
            )
        (output / PROGRESS).unlink(missing_ok=True)
        files.sync_folder(output)

    def _write_folder(self, folder: Path) -> None:
        """Writes all shards that are not there yet, and what describes them."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = self._kept(folder)
        parts = self._parts()
        for number, part in enumerate(parts, 1):
            if part.file in facts:
                continue
            temporary = folder / f"{part.file}.tmp"
            records = self._records(part)
            shards.write_shard(temporary, self._config.format, records)
            files.move(temporary, folder / part.file)
            facts[part.file] = files.size_and_sha256(folder / part.file)
            progress = {"plan": self._plan, "files": facts}
            files.write_json(folder / PROGRESS, progress)
            self._tell(f"{number} of {len(parts)} files")
        self._describe(folder, parts, facts)
        files.sync_folder(folder)

    def _write_file(self, path: Path) -> None:
        """Writes one HDF5 file or tar."""
        write = self._write_hdf5 if self._config.format == "hdf5" else self._write_tar
        write(path)
        files.sync_file(path)

    def read(self, split: str, start: int, stop: int) -> tuple[Any, np.ndarray]:
        """Examples [start, stop) of a split, as they are stored, and their targets."""
        indices = self.dataset.splits[split][start:stop]
        targets = self.dataset.source.read_targets(indices)
        if self.encoded:
            return self.dataset.source.read(indices), targets
        positions = np.arange(start, start + len(indices))
        return self.dataset.examples(split, positions).inputs, targets

    def _data(self) -> Any:
        data = self._config.data
        # What stays encoded keeps its size; any will do for opening.
        return dataclasses.replace(data, image_size="1") if self.encoded else data

    def _stays_encoded(self) -> bool:
        source = open_source(self._config.data)
        config = self._config
        source.features.input.require_packable(config.dataset)
        encoded = source.encoded and not config.decode
        if encoded and config.image_size:
            raise UserError(
                f"--image_size={config.image_size} resizes what is decoded; add "
                "--decode, or leave it out."
            )
        if encoded and config.format == "hdf5":
            raise UserError(
                "--format=hdf5 stores pixels: add --decode (and --image_size)."
            )
        if not encoded and config.format == "tar":
            raise UserError(
                "--format=tar stores encoded images: name a source of such, without "
                "--decode."
            )
        if config.format == "tar":
            source.features.target.folder_names(config.dataset)
        return encoded

    def _features(self) -> ExampleSpec:
        stored = self.dataset.source if self.encoded else self.dataset
        return ExampleSpec(stored.features.input, self.dataset.features.target)

    def _parts(self) -> list[Part]:
        """The files of all splits, named as TFDS names them."""
        parts = []
        size = self._config.examples_per_shard
        for split in SPLITS:
            examples = self.dataset.split_sizes[split]
            count = -(-examples // size)
            for number in range(count):
                name = f"{tfds_folder.NAME}-{split}.{self._config.format}"
                parts.append(
                    Part(
                        f"{name}-{number:05}-of-{count:05}",
                        split,
                        examples * number // count,
                        examples * (number + 1) // count,
                    )
                )
        return parts

    def _records(self, part: Part) -> Iterator[bytes]:
        for start in range(part.start, part.stop, _CHUNK):
            self._require_no_pause()
            stop = min(start + _CHUNK, part.stop)
            for example, target in zip(
                *self.read(part.split, start, stop), strict=True
            ):
                yield serialization.serialize(self.features, example, target)

    def _require_no_pause(self) -> None:
        if self._paused():
            raise PackPaused

    @functools.cached_property
    def _plan(self) -> str:
        """What a shard's contents depend on, as a digest."""
        splits = self.dataset.summary()["splits"]
        prints = {split: facts["sha256"] for split, facts in splits.items()}
        sizes = self.dataset.split_sizes
        ids = [self.dataset.names(split) for split in SPLITS if sizes[split]]
        facts = [
            _VERSION,
            self._config.format,
            self.encoded,
            self.features.to_json(),
            self._config.examples_per_shard,
            prints,
            ids,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _kept(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Facts of the files of an interrupted start that are whole and still fit."""
        try:
            progress = json.loads((folder / PROGRESS).read_text())
        except (OSError, ValueError):
            progress = {}
        if progress.get("plan") != self._plan:
            shutil.rmtree(folder)
            folder.mkdir()
            return {}
        kept = {
            name: facts
            for name, facts in progress["files"].items()
            if (folder / name).exists()
            and files.size_and_sha256(folder / name) == facts
        }
        for leftover in folder.iterdir():
            if leftover.name not in (*kept, PROGRESS):
                leftover.unlink()
        self._tell(f"goes on: {len(kept)} files are there already")
        return kept

    def _describe(
        self, folder: Path, parts: list[Part], facts: dict[str, dict[str, Any]]
    ) -> None:
        """Writes what TFDS reads, and what Atelier checks."""
        source = self.dataset.source
        order = np.concatenate([self.dataset.splits[split] for split in SPLITS])
        for name, values in (
            (CONTENT_HASHES, source.content_hashes()[order]),
            (TARGETS, source.read_targets(order)),
        ):
            np.save(folder / name, values, allow_pickle=False)
        tfds_folder.write_metadata(folder, parts, self.features, self.encoded)
        for path in sorted(folder.iterdir()):
            if path.name not in (*facts, PROGRESS, MANIFEST):
                files.sync_file(path)
                facts[path.name] = files.size_and_sha256(path)
        manifest = {
            "version": _VERSION,
            "plan": self._plan,
            "source": source.name,
            "format": self._config.format,
            "encoded": self.encoded,
            "features": self.features.to_json(),
            "splits": dict(self.dataset.split_sizes),
            "left_out": list(self.dataset.bad_examples),
            "parts": [dataclasses.asdict(part) for part in parts],
            "files": facts,
        }
        files.write_json(folder / MANIFEST, manifest)

    def _write_hdf5(self, path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            if self.features.target.part_names:
                names = [name.encode() for name in self.features.target.part_names]
                file.create_dataset("classes", data=np.array(names))
            for split, examples in self.dataset.split_sizes.items():
                if not examples:
                    continue
                shape = (examples, *self.features.input.complete_shape)
                dtype = self.features.input.dtype
                rows = file.create_dataset(f"x_{split}", shape, dtype)
                indices = self.dataset.splits[split]
                targets = self.dataset.source.read_targets(indices)
                file.create_dataset(f"y_{split}", data=targets)
                for start in range(0, examples, _CHUNK):
                    self._require_no_pause()
                    found, _ = self.read(split, start, start + _CHUNK)
                    rows[start : start + len(found)] = found

    def _write_tar(self, path: Path) -> None:
        folders = self.features.target.folder_names(self._config.dataset)
        with tarfile.open(path, "w") as archive:
            for split, examples in self.dataset.split_sizes.items():
                for start in range(0, examples, _CHUNK):
                    self._require_no_pause()
                    found, targets = self.read(split, start, start + _CHUNK)
                    for row, contents in enumerate(found):
                        # Numbered within the class's folder, in the split's order.
                        label = folders[targets[row]]
                        suffix = _SUFFIX_OF[contents[:2]]
                        member = tarfile.TarInfo(
                            f"{split}/{label}/{start + row:09}.{suffix}"
                        )
                        member.size = len(contents)
                        archive.addfile(member, io.BytesIO(contents))


def _output(config: PackConfig) -> Path:
    assert config.pack_dir  # PackConfig refuses a missing one
    return Path(config.pack_dir).expanduser().absolute()


def _same(one: Any, other: Any) -> bool:
    """Whether two encoded inputs, arrays or targets are equal."""
    # Not by NumPy where it would take bytes for texts, which end before a 0.
    return one == other if isinstance(one, bytes) else np.array_equal(one, other)
