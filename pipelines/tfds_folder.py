"""A folder of shards as TensorFlow Datasets knows it: names of files, and metadata."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pipelines import serialization
from pipelines.features import ExampleSpec
from pipelines.sources.base import SPLITS

NAME = "packed"


@dataclasses.dataclass(frozen=True)
class Part:
    """A run of examples of one split that goes into one file.

    Attributes:
        file: its name.
        split: name of the split.
        start: of its examples in the split.
        stop: after its last one.
    """

    file: str
    split: str
    start: int
    stop: int


def write_metadata(
    folder: Path, parts: Sequence[Part], features: ExampleSpec, encoded: bool
) -> None:
    """Writes features.json and dataset_info.json, by which TFDS opens the folder."""
    import tensorflow_datasets as tfds

    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        dataset_name=NAME,
        filetype_suffix=parts[0].file.partition(".")[2].partition("-")[0],
    )
    infos = []
    for split in SPLITS:
        own = [part for part in parts if part.split == split]
        if own:
            infos.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[part.stop - part.start for part in own],
                    num_bytes=sum((folder / p.file).stat().st_size for p in own),
                    filename_template=template,
                )
            )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=serialization.tfds_features(features, encoded),
        split_infos=infos,
        filename_template=template,
        supervised_keys=(features.input.field, features.target.field),
        check_data=False,
    )
