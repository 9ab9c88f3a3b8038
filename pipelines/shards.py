"""Files of records that can be read at random: array_record, and TFRecord by offset."""

import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from base import files

# One record a chunk, so that any can be read alone; images are compressed already.
_WRITER_OPTIONS = "group_size:1,uncompressed"
_READER_OPTIONS = "readahead_buffer_size:0"
_READER_BUFFER = 32768
_LENGTH = struct.Struct("<Q")
_BEFORE, _AFTER = 12, 4  # bytes of length and checksums around a TFRecord
FORMATS = ("array_record", "tfrecord")


def write_shard(path: Path, file_format: str, records: Iterable[bytes]) -> None:
    """Writes a file of records and flushes it to the disk."""
    if file_format == "array_record":
        from array_record.python import array_record_module

        writer = array_record_module.ArrayRecordWriter(str(path), _WRITER_OPTIONS)
    else:
        writer = tf.io.TFRecordWriter(str(path))
    try:
        for record in records:
            writer.write(record)
    finally:
        writer.close()
    files.sync_file(path)


class ArrayRecordShard:
    """Random access to the records of an array_record file."""

    def __init__(self, path: Path) -> None:
        from array_record.python import array_record_module

        self._reader = array_record_module.ArrayRecordReader(
            str(path), options=_READER_OPTIONS, file_reader_buffer_size=_READER_BUFFER
        )

    def __len__(self) -> int:
        return int(self._reader.num_records())

    def read(self, rows: Sequence[int]) -> list[bytes]:
        """The records of these numbers."""
        # One by one: the reader's own threads cost more than they save.
        return [self._reader.read([row])[0] for row in rows]

    def read_into(self, scratch: memoryview, row: int) -> memoryview:
        """The record of this number; its reader has no way to use `scratch`."""
        del scratch
        return memoryview(self._reader.read([row])[0])


class TFRecordShard:
    """Random access to the records of a TFRecord file, by a scan of their lengths."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb")  # noqa: SIM115  # as long as the shard
        self._places = _record_places(path)

    def __len__(self) -> int:
        return len(self._places)

    def read(self, rows: Sequence[int]) -> list[bytes]:
        """The records of these numbers."""
        file = self._file.fileno()
        return [
            os.pread(file, size, at) for at, size in map(self._places.__getitem__, rows)
        ]

    def read_into(self, scratch: memoryview, row: int) -> memoryview:
        """The record of this number: in `scratch` if it has the room, else anew."""
        at, size = self._places[row]
        if len(scratch) < size:
            scratch = memoryview(bytearray(size))
        record = scratch[:size]
        read = os.preadv(self._file.fileno(), [record], at)
        return record[:read]


Shard = ArrayRecordShard | TFRecordShard


def open_shard(path: Path, file_format: str) -> Shard:
    """The file, to read from."""
    return (ArrayRecordShard if file_format == "array_record" else TFRecordShard)(path)


def _record_places(path: Path) -> list[tuple[int, int]]:
    """Offset and size of each record's contents."""
    places = []
    contents = np.memmap(path, np.uint8, "r") if path.stat().st_size else b""
    at = 0
    while at < len(contents):
        (size,) = _LENGTH.unpack(bytes(contents[at : at + _LENGTH.size]))
        places.append((at + _BEFORE, size))
        at += _BEFORE + size + _AFTER
    return places
