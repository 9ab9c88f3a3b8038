"""What a user says about packing: each field is a flag of the same name."""

import dataclasses
from typing import Any

from base.errors import UserError
from base.fields import flag, require
from pipelines.config import DataConfig, parse_fractions, parse_image_size

_FIELDS = {field.name: field for field in dataclasses.fields(DataConfig)}


def _as_in_training(name: str) -> Any:
    """A flag that means what it means in training."""
    field = _FIELDS[name]
    return dataclasses.field(default=field.default, metadata=dict(field.metadata))


@dataclasses.dataclass(frozen=True)
class PackConfig:
    """Packing"""

    pack_dir: str | None = flag(
        None,
        "Folder to write, or with --verify, to check; with --format=hdf5 or tar, the "
        "file.",
    )
    verify: bool = flag(
        False, "Read what is in --pack_dir, and compare it with --dataset."
    )
    format: str = flag(
        "array_record",
        "array_record and tfrecord make a folder that TensorFlow Datasets opens, too "
        "(packing goes on where it was interrupted); hdf5 (which wants --decode for "
        "encoded images) and tar (encoded images alone) make one file.",
        choices=("array_record", "tfrecord", "hdf5", "tar"),
    )
    decode: bool = flag(
        False,
        "Store pixels rather than encoded images: decoded, and resized to "
        "--image_size, once.",
    )
    examples_per_shard: int = flag(
        4096, "Examples in a file of array_record or tfrecord."
    )
    dataset: str = _as_in_training("dataset")
    data_dir: str | None = _as_in_training("data_dir")
    split: str = _as_in_training("split")
    image_size: str | None = _as_in_training("image_size")
    max_pixels: int = _as_in_training("max_pixels")
    max_bad_examples: int = _as_in_training("max_bad_examples")

    def __post_init__(self) -> None:
        """Raises UserError for a value out of range."""
        if not self.pack_dir:
            raise UserError("--pack_dir is missing: name the folder or file to write.")
        size = self.examples_per_shard
        require(size >= 1, "examples_per_shard", size, "1 or more")
        parse_fractions(self.split)
        parse_image_size(self.image_size)

    @property
    def data(self) -> DataConfig:
        """The data to pack."""
        return DataConfig(
            dataset=self.dataset,
            data_dir=self.data_dir,
            split=self.split,
            image_size=self.image_size,
            max_pixels=self.max_pixels,
            max_bad_examples=self.max_bad_examples,
            batch_size=1,
            cache="none",
        )
