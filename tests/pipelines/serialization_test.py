"""Images are found in records without a parser, and by one where that fails."""

from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import serialization
from pipelines.features import ClassLabel, ExampleSpec, Image

_FEATURES = ExampleSpec(Image((None, None, 3)), ClassLabel(("cat", "dog")))


class EncodedImageTest(parameterized.TestCase, tf.test.TestCase):
    # Lengths are written in one byte up to 127, two up to 16,383, and so on.
    @parameterized.parameters(0, 1, 100, 127, 128, 16_300, 16_384, 3_000_000)
    def test_is_what_was_serialized(self, size: int) -> None:
        image = np.random.default_rng(size).bytes(size)
        record = serialization.serialize(_FEATURES, image, 1)
        refused = mock.patch.object(
            tf.train.Example, "FromString", side_effect=AssertionError
        )
        with refused:
            self.assertEqual(serialization.encoded_input(_FEATURES, record), image)

    def test_a_record_of_another_program_is_parsed(self) -> None:
        """Protocol buffers may have a map in any order."""
        entries = []
        for name, value in (("label", b"\x1a\x03\n\x01\x01"), ("image", None)):
            key = b"\n" + bytes([len(name)]) + name.encode()
            value = value or b"\n\x05\n\x03abc"
            entry = key + b"\x12" + bytes([len(value)]) + value
            entries.append(b"\n" + bytes([len(entry)]) + entry)
        features = b"".join(entries)
        record = b"\n" + bytes([len(features)]) + features
        self.assertEqual(serialization.encoded_input(_FEATURES, record), b"abc")
        self.assertEqual(serialization.parse_target(_FEATURES, record), 1)


if __name__ == "__main__":
    tf.test.main()
