"""An example as a record of a packed dataset: a tf.train.Example, as TFDS writes it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.features import Features


def tfds_features(features: Features, encoded: bool) -> Any:
    """What TFDS is told of the records: a `tfds.features.FeaturesDict`."""
    import tensorflow_datasets as tfds

    shape = features.shape
    inputs = (
        tfds.features.Image(shape=(None, None, shape[2]))
        if encoded
        else tfds.features.Tensor(
            shape=shape, dtype=_dtype(features), encoding=tfds.features.Encoding.BYTES
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


def parse(features: Features, records: tf.Tensor, encoded: bool) -> tf.Tensor:
    """Examples of records, string [k]: encoded images [k], or arrays [k, …]."""
    spec = {features.kind: tf.io.FixedLenFeature([], tf.string)}
    contents = tf.io.parse_example(records, spec)[features.kind]
    if encoded:
        return contents
    values = tf.io.decode_raw(contents, _dtype(features))
    return tf.reshape(values, [-1, *_complete(features.shape)])


def parse_target(features: Features, record: bytes) -> Any:
    """The class, or the values float32 [features.targets], in one record."""
    found = tf.train.Example.FromString(record).features
    stored = found.feature[_target_name(features)]
    if features.classes:
        return stored.int64_list.value[0]
    return np.array(stored.float_list.value, np.float32)


def _complete(shape: Sequence[int | None]) -> list[int]:
    return [side or 0 for side in shape]


def _dtype(features: Features) -> Any:
    return np.uint8 if features.kind == "image" else np.float32


def _target_name(features: Features) -> str:
    return "label" if features.classes else "target"
