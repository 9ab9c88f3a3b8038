"""TensorBoard's event files, rewritten so that a resumed run holds each step once."""

import pathlib
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.core.util import event_pb2

from base import files

PATTERN = "events.out.tfevents.*"


def keep_until(folder: pathlib.Path, step: int) -> set[tuple[str, int]]:
    """Drops from the event files in `folder` what lies beyond `step`.

    A resume from a checkpoint writes those steps again. Each file is replaced as a
    whole, or stays; one of which nothing is left is removed. A last record that a kill
    cut short is dropped, and so are temporary files of a kill during an earlier call.

    Returns:
      The (tag, step) pairs that are kept; the graph's tag is `graph`.
    """
    kept: set[tuple[str, int]] = set()
    for leftover in folder.glob(f".{PATTERN}"):
        leftover.unlink()
    for path in sorted(folder.glob(PATTERN)):
        kept |= _rewrite(path, step)
    return kept


def read_events(path: pathlib.Path) -> Iterator[event_pb2.Event]:
    """The events of a file up to its end, or up to where a kill cut it short."""
    # One call per record: a kill's damage is at the end, and what precedes it is whole.
    records = iter(tf.data.TFRecordDataset(str(path)))
    while True:
        try:
            record = next(records)
        except (StopIteration, tf.errors.DataLossError):
            return
        yield event_pb2.Event.FromString(record.numpy())


def tags_of(event: event_pb2.Event) -> list[str]:
    """What an event holds values of; empty for a file's header."""
    if event.HasField("graph_def"):
        return ["graph"]
    return [value.tag for value in event.summary.value]


def _rewrite(path: pathlib.Path, step: int) -> set[tuple[str, int]]:
    kept: set[tuple[str, int]] = set()
    # A name that TensorBoard, which may be watching, does not take for an event file.
    with (
        files.aside(path) as temporary,
        tf.io.TFRecordWriter(str(temporary)) as writer,
    ):
        for event in read_events(path):
            tags = tags_of(event)
            if not tags or event.step <= step:
                writer.write(event.SerializeToString())
                kept.update((tag, event.step) for tag in tags)
    if not kept:
        path.unlink()
        files.sync_folder(path.parent)
    return kept
