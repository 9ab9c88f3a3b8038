"""An example as a record of a packed dataset: a tf.train.Example, as TFDS writes it."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.features import Features

# The first field of tf.train.Example, Features, the map's entry, and its parts; each is
# a tag and a length.
_LENGTH = rb"[\x80-\xff]*[\x00-\x7f]"
_BEFORE_IMAGE = re.compile(
    rb"\n%b\n%b\n\x05image\x12%b\n%b\n(?P<size>%b)" % ((_LENGTH,) * 5)
)


def tfds_features(features: Features, encoded: bool) -> Any:
    """What TFDS is told of the records: a `tfds.features.FeaturesDict`."""
    import tensorflow_datasets as tfds

    shape = features.shape
    inputs = (
        tfds.features.Image(shape=(None, None, shape[2]))
        if encoded
        else tfds.features.Tensor(
            shape=shape, dtype=dtype_of(features), encoding=tfds.features.Encoding.BYTES
        )
    )
    targets = (
        tfds.features.ClassLabel(names=list(features.classes))
        if features.classes
        else tfds.features.Tensor(shape=(features.targets,), dtype=np.float32)
    )
    return tfds.features.FeaturesDict(
        {features.kind: inputs, _target_name(features): targets}
    )


def serialize(features: Features, example: bytes | np.ndarray, target: Any) -> bytes:
    """One record.

    Args:
        features: of the dataset.
        example: an encoded image, or an array of `features.shape`.
        target: its class, or its values [features.targets].
    """
    contents = example if isinstance(example, bytes) else example.tobytes()
    inputs = tf.train.Feature(bytes_list=tf.train.BytesList(value=[contents]))
    targets = (
        tf.train.Feature(int64_list=tf.train.Int64List(value=[int(target)]))
        if features.classes
        else tf.train.Feature(float_list=tf.train.FloatList(value=target))
    )
    named = {features.kind: inputs, _target_name(features): targets}
    record: bytes = tf.train.Example(
        features=tf.train.Features(feature=named)
    ).SerializeToString(deterministic=True)
    return record


def encoded_image(record: bytes) -> bytes:
    """The encoded image in a record.

    Found by what stands before it in the records that `serialize` writes, where the
    image comes first: a parser would copy the image three times.
    """
    if before := _BEFORE_IMAGE.match(record):
        size = sum(
            (byte & 0x7F) << 7 * place for place, byte in enumerate(before["size"])
        )
        return record[before.end() : before.end() + size]
    stored = tf.train.Example.FromString(record).features.feature["image"]
    (contents,) = stored.bytes_list.value
    return bytes(contents)


def parse_arrays(features: Features, records: Iterable[bytes]) -> np.ndarray:
    """Arrays of records: [k, …].

    By Python, which copies a large record less often than TensorFlow does.

    Raises:
        ValueError: a record is of another size.
    """
    records = list(records)
    found = np.empty((len(records), *_complete(features.shape)), dtype_of(features))
    for row, record in zip(found, records, strict=True):
        stored = tf.train.Example.FromString(record).features.feature[features.kind]
        (contents,) = stored.bytes_list.value
        row[...] = np.frombuffer(contents, found.dtype).reshape(row.shape)
    return found


def array_prefix(features: Features, target: Any) -> bytes:
    """What stands before the array's bytes in a record of an image, as packed now.

    The protocol has no array that ends by 0xFF before its contents: lengths do not.
    """
    contents = np.full(_complete(features.shape), 255, np.uint8)
    record = serialize(features, contents, target)
    return record[: record.index(contents.tobytes())]


def array_of(features: Features, record: memoryview, prefix: bytes) -> np.ndarray:
    """The array in a record that begins by `prefix`, without a copy; else parsed.

    Raises:
        ValueError: it is of another size.
    """
    end = len(prefix) + math.prod(_complete(features.shape))
    if len(record) >= end and record[: len(prefix)] == prefix:
        found = np.frombuffer(record[len(prefix) : end], np.uint8)
        return found.reshape(_complete(features.shape))
    return parse_arrays(features, [bytes(record)])[0]


def parse_target(features: Features, record: bytes) -> Any:
    """The class, or the values float32 [features.targets], in one record."""
    found = tf.train.Example.FromString(record).features
    stored = found.feature[_target_name(features)]
    if features.classes:
        return stored.int64_list.value[0]
    return np.array(stored.float_list.value, np.float32)


def _complete(shape: Sequence[int | None]) -> list[int]:
    return [side or 0 for side in shape]


def dtype_of(features: Features) -> Any:
    """Of the arrays that are stored."""
    return np.uint8 if features.kind == "image" else np.float32


def _target_name(features: Features) -> str:
    return "label" if features.classes else "target"
