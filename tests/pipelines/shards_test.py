"""Records are read at random, also into memory that another has used."""

from pathlib import Path

import tensorflow as tf
from absl.testing import parameterized

from pipelines import shards


class ShardsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(*shards.FORMATS)
    def test_records_of_different_lengths_are_read_one_after_the_other(
        self, file_format: str
    ) -> None:
        path = Path(self.get_temp_dir()) / file_format
        records = [bytes([number]) * (10 + number % 3) for number in range(9)]
        shards.write_shard(path, file_format, records)
        shard = shards.open_shard(path, file_format)
        self.assertLen(shard, 9)
        self.assertEqual(shard.read([7, 0]), [records[7], records[0]])
        scratch, held = memoryview(bytearray(10)), []
        for row, record in enumerate(records):
            found = shard.read_into(scratch, row)
            self.assertEqual(bytes(found), record)
            # What is still held must not keep the next from being read.
            held.append(found[:1])
            scratch = max(scratch, found, key=len)

    def test_room_that_is_there_is_used(self) -> None:
        path = Path(self.get_temp_dir()) / "room"
        shards.write_shard(path, "tfrecord", [b"first", b"next"])
        scratch = memoryview(bytearray(5))
        shards.open_shard(path, "tfrecord").read_into(scratch, 1)
        self.assertEqual(bytes(scratch[:4]), b"next")


if __name__ == "__main__":
    tf.test.main()
