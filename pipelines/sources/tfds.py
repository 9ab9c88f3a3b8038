"""Datasets of TensorFlow Datasets: by name, or the folder that it wrote.

Read `open_named` and `open_folder` first; the records are `tfds_records`'. Examples
come from TFDS's own builder, and so does the decoding of all but images, which stay
encoded until a batch is made.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from base.errors import UserError, did_you_mean
from pipelines.features import ExampleSpec, Image, InputFeature, Recognized
from pipelines.packed_format import MANIFEST
from pipelines.sources import arrayfiles
from pipelines.sources.base import Source, TargetsInMemory
from pipelines.sources.encoded import EncodedSource
from pipelines.sources.packed import PackedSource
from pipelines.sources.tfds_records import Records, is_label, reason_of

INFO = "dataset_info.json"
_PREFIX = "tfds:"
# No namespace before a colon: TFDS would fetch and run the code of others.
_NAME = re.compile(r"\w+(/[\w.-]+)?(:[\d.]+)?")
_OWN_CLASSES = "tensorflow_datasets."


def open_named(dataset: str, data_dir: str | None) -> Source:
    """The dataset `tfds:NAME[/CONFIG][:VERSION]`, which TFDS has in `data_dir`.

    Raises:
        UserError: there is no such dataset, or it is not there; nothing is fetched.
    """
    name = dataset.removeprefix(_PREFIX)
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--dataset={dataset}: expected tfds:NAME, tfds:NAME/CONFIG or "
            "tfds:NAME:VERSION."
        )
    place = Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    for written in place.glob(f"{name.partition('/')[0].partition(':')[0]}/**/{INFO}"):
        _check_classes(dataset, written.parent)
    try:
        builder = tfds.builder(name, data_dir=place)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        hint = did_you_mean(name, known)
        raise UserError(
            f"--dataset={dataset}: TensorFlow Datasets knows no {name}, and {place} "
            f"holds none{hint}"
        ) from None
    except (ValueError, RuntimeError) as error:
        raise UserError(f"--dataset={dataset}: {reason_of(error)}.") from error
    if not builder.info.splits:
        raise UserError(
            f"--dataset={dataset} is not in {builder.data_dir}; name the folder that "
            'holds it by --data_dir, or download it: python -c "import '
            f"tensorflow_datasets as tfds; tfds.builder('{name}', data_dir='{place}', "
            "file_format='array_record').download_and_prepare()\""
        )
    if (Path(builder.data_path) / MANIFEST).is_file():
        return PackedSource(dataset, Path(builder.data_path))  # has checksums
    return _open(dataset, builder)


def open_folder(name: str, folder: Path) -> Source:
    """The folder that TFDS, or another program by its rules, wrote.

    Raises:
        UserError: it is damaged, or its features are not those of TFDS.
    """
    _check_classes(name, folder)
    try:
        builder = tfds.builder_from_directory(folder)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(
            f"{name} cannot be opened by TensorFlow Datasets ({reason_of(error)})."
        ) from error
    return _open(name, builder)


class TfdsImages(EncodedSource):
    """Images as TFDS stores them: encoded."""

    native = False
    batched = True

    def __init__(self, name: str, records: Records, targets: Recognized) -> None:
        """Takes the records as they stand in the splits."""
        self.name = name
        self._records = records
        self.hold_targets(targets.values)
        self.given_splits = records.given_splits
        self.features = ExampleSpec(Image((None, None, 3)), targets.feature)
        self.notes = records.notes | arrayfiles.notes_of(targets)

    def read(self, indices: np.ndarray) -> list[bytes]:
        """The images at `indices`, encoded."""
        return [bytes(image) for image in self._records.read(indices)]

    def describe(self, index: int) -> str:
        """The dataset, the split and the number in it."""
        return self._records.describe(index)


class TfdsArrays(TargetsInMemory):
    """Arrays of one shape: images uint8 [H,W,C], or vectors."""

    native = False
    batched = True
    _hashes: np.ndarray | None = None

    def __init__(
        self,
        name: str,
        records: Records,
        targets: Recognized,
        kind: InputFeature,
    ) -> None:
        """Takes the records as they stand in the splits."""
        self.name = name
        self._records = records
        self.hold_targets(targets.values)
        self.given_splits = records.given_splits
        self.features = ExampleSpec(kind, targets.feature)
        self.notes = records.notes | arrayfiles.notes_of(targets)

    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each example's bytes: uint8 [n, 32]."""
        if self._hashes is None:
            self._hashes = arrayfiles.hashes_of(self.read, len(self))
        return self._hashes

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The examples at `indices`: [k, …]."""
        rows = np.stack(self._records.read(indices))
        return self.features.input.as_stored(rows)

    def lookup(self, indices: tf.Tensor) -> tf.Tensor:
        """The examples at `indices` [k]; by Python, not by TensorFlow."""
        stored = self.features.input
        found = tf.numpy_function(self.read, [indices], stored.dtype, stateful=False)
        return tf.ensure_shape(found, [*indices.shape, *stored.shape])

    def describe(self, index: int) -> str:
        """The dataset, the split and the number in it."""
        return self._records.describe(index)


def _open(name: str, builder: Any) -> Source:
    inputs, target = _keys(name, builder.info)
    feature = builder.info.features[inputs]
    records = Records(name, builder, inputs, target)
    targets = records.targets(builder.info.features[target])
    if isinstance(feature, tfds.features.Image):
        return TfdsImages(name, records, targets)
    shape = (len(targets.values), *(side or 0 for side in feature.shape))
    kind = arrayfiles.input_of(name, inputs, shape, np.dtype(feature.np_dtype))
    return TfdsArrays(name, records, targets, kind)


def _keys(name: str, info: Any) -> tuple[str, str]:
    """Names of what goes in and what is to be predicted.

    Those that TFDS calls supervised; else the only image and the only class, or the
    only sequence of them.

    Raises:
        UserError: they cannot be told.
    """
    features = info.features
    keys = info.supervised_keys
    if isinstance(keys, tuple) and len(keys) == 2 and all(k in features for k in keys):
        return keys
    images = [k for k, f in features.items() if isinstance(f, tfds.features.Image)]
    labels = [k for k, f in features.items() if is_label(f)]
    if len(images) != 1 or len(labels) != 1:
        raise UserError(
            f"{name} has the features {', '.join(features)}; expected one image and "
            "one class, or an input and a target that TFDS calls supervised."
        )
    return images[0], labels[0]


def _check_classes(name: str, folder: Path) -> None:
    """Raises UserError where opening the folder would import classes not of TFDS."""
    try:
        described = json.loads((folder / "features.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{name}: {folder / 'features.json'} cannot be read ({reason_of(error)})."
        ) from error
    for found in re.findall(r'"pythonClassName": "([^"]*)"', json.dumps(described)):
        if not found.startswith(_OWN_CLASSES):
            raise UserError(
                f"{name}: its features are of the class {found}, and opening it would "
                "run that code; expected classes of TensorFlow Datasets."
            )
