"""An example as a record of a packed dataset: a tf.train.Example, as TFDS writes it."""

import functools
import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.features import ExampleSpec

_LENGTH = rb"[\x80-\xff]*[\x00-\x7f]"


def tfds_features(features: ExampleSpec, encoded: bool) -> Any:
    """What TFDS is told of the records: a `tfds.features.FeaturesDict`."""
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict(
        {
            features.input.field: features.input.tfds_feature(encoded),
            features.target.field: features.target.tfds_feature(),
        }
    )


def serialize(features: ExampleSpec, example: bytes | np.ndarray, target: Any) -> bytes:
    """One record.

    Args:
        features: of the dataset.
        example: an encoded input, or an array of the input's shape.
        target: as `features.target` stores it.
    """
    named = {
        features.input.field: features.input.serialize(example),
        features.target.field: features.target.serialize(target),
    }
    record: bytes = tf.train.Example(
        features=tf.train.Features(feature=named)
    ).SerializeToString(deterministic=True)
    return record


def encoded_input(features: ExampleSpec, record: bytes) -> bytes:
    """The encoded input in a record.

    Found by what stands before it in the records that `serialize` writes, where an
    image comes first: a parser would copy the image three times.
    """
    if before := _before(features.input.field).match(record):
        size = sum(
            (byte & 0x7F) << 7 * place for place, byte in enumerate(before["size"])
        )
        return record[before.end() : before.end() + size]
    stored = _stored(record, features.input.field)
    (contents,) = stored.bytes_list.value
    return bytes(contents)


def parse_arrays(features: ExampleSpec, records: Iterable[bytes]) -> np.ndarray:
    """Arrays of records: [k, …].

    By Python, which copies a large record less often than TensorFlow does.

    Raises:
        ValueError: a record is of another size.
    """
    records = list(records)
    part = features.input
    found = np.empty((len(records), *part.complete_shape), part.dtype)
    for row, record in zip(found, records, strict=True):
        row[...] = part.parse(_stored(record, part.field))
    return found


def array_prefix(features: ExampleSpec, target: Any) -> bytes:
    """What stands before the array's bytes in a record, as packed now.

    The protocol has no array that ends by 0xFF before its contents: lengths do not.
    """
    contents = b"\xff" * _array_bytes(features)
    record = serialize(features, contents, target)
    return record[: record.index(contents)]


def array_of(features: ExampleSpec, record: memoryview, prefix: bytes) -> np.ndarray:
    """The array in a record that begins by `prefix`, without a copy; else parsed.

    Raises:
        ValueError: it is of another size.
    """
    end = len(prefix) + _array_bytes(features)
    if len(record) >= end and record[: len(prefix)] == prefix:
        found = np.frombuffer(record[len(prefix) : end], features.input.dtype)
        return found.reshape(features.input.complete_shape)
    return parse_arrays(features, [bytes(record)])[0]


def parse_target(features: ExampleSpec, record: bytes) -> Any:
    """The target in one record, as `features.target` stores it."""
    return features.target.parse(_stored(record, features.target.field))


def _array_bytes(features: ExampleSpec) -> int:
    part = features.input
    return math.prod(part.complete_shape) * np.dtype(part.dtype).itemsize


def _stored(record: bytes, field: str) -> tf.train.Feature:
    return tf.train.Example.FromString(record).features.feature[field]


@functools.cache
def _before(field: str) -> re.Pattern[bytes]:
    """What stands before the contents of the first field of a record.

    The first field of tf.train.Example, Features, the map's entry, and its parts; each
    is a tag and a length.
    """
    name = bytes([len(field)]) + re.escape(field.encode())
    lengths = (_LENGTH,) * 2
    return re.compile(
        rb"\n%b\n%b\n%b\x12%b\n%b\n(?P<size>%b)" % (*lengths, name, *lengths, _LENGTH)
    )
