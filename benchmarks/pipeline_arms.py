"""The readers that benchmarks.pipeline compares, each in a process of its own.

`python -m benchmarks.pipeline_arms ARM WORK` reads two epochs of the images in WORK
and prints a JSON object of figures. WORK is made by benchmarks.pipeline: `train/CLASS`,
the same images as `images.tar`, `packed`, `packed-tfrecord` and `decoded`.
"""

import json
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

SIZE = 224
BATCH = 64
EPOCHS = 2
# Atelier's, by what it reads.
CONTAINERS = {
    "folder": "images",
    "tar": "images.tar",
    "packed": "packed",
    "packed-tfrecord": "packed-tfrecord",
    "packed-decoded": "decoded",
}
_LEAST_AREA, _RATIOS = 0.08, (3 / 4, 4 / 3)

Epochs = Iterator[Iterable[Any]]


def main() -> None:
    """Runs the arm that the command line names, and prints its figures."""
    name, place = sys.argv[1:]
    work = pathlib.Path(place)
    if name.startswith("atelier "):
        epochs = atelier(work, name.removeprefix("atelier "))
    else:
        epochs = _ARMS[name](work)
    print(json.dumps(_measure(epochs)))


def _measure(epochs: Callable[[], Epochs]) -> dict[str, float]:
    """Images a second, from the first batch of an epoch on; peak memory, in MB."""
    figures: dict[str, float] = {}
    for number, batches in enumerate(epochs(), 1):
        images, started = 0, 0.0
        cpu = _cpu_seconds()
        for batch in batches:
            if started:
                images += len(batch)
            else:  # what it took to come is a start's cost, not an epoch's
                started, cpu = time.monotonic(), _cpu_seconds()
        figures[f"epoch_{number}"] = images / (time.monotonic() - started)
        figures[f"cpu_microseconds_{number}"] = (_cpu_seconds() - cpu) / images * 1e6
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    figures["peak_mb"] = (used + children * _workers_of_torch()) / 1e3
    return figures


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _workers_of_torch() -> int:
    """Processes that the arm has started, all of a size."""
    return _cores() if "torch" in sys.modules else 0


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _paths(work: pathlib.Path) -> list[str]:
    """The training images, in an order that is not the folder's."""
    paths = sorted(str(p) for p in (work / "images" / "train").glob("*/*"))
    import random

    random.Random(0).shuffle(paths)
    return paths


def bare(work: pathlib.Path) -> Callable[[], Epochs]:
    """The limit: decode_jpeg on all cores, of bytes in memory; nothing else."""
    import tensorflow as tf

    contents = tf.constant([pathlib.Path(p).read_bytes() for p in _paths(work)])
    indices = tf.data.Dataset.range(len(contents)).batch(BATCH)

    def decoded(chosen: tf.Tensor) -> tf.Tensor:
        """A value of each image: the pixels themselves go nowhere."""
        return tf.map_fn(
            lambda one: tf.io.decode_jpeg(one, 3)[0, 0, 0],
            tf.gather(contents, chosen),
            fn_output_signature=tf.uint8,
        )

    # Few images an element, so that the cores have work to the end; AUTOTUNE leaves one
    # of two idle in every other epoch.
    parts = indices.rebatch(8).map(decoded, _cores()).prefetch(tf.data.AUTOTUNE)
    return lambda: (parts for _ in range(EPOCHS))


def tutorial(work: pathlib.Path, parallel: bool = False) -> Callable[[], Epochs]:
    """tf.data as tutorials have it: a map of single images, sequential."""
    import tensorflow as tf

    paths = _paths(work)

    def load(path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(tf.io.read_file(path), 3)
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            tf.shape(image),
            tf.zeros([1, 0, 4]),
            min_object_covered=0.0,
            aspect_ratio_range=_RATIOS,
            area_range=(_LEAST_AREA, 1.0),
            use_image_if_no_bounding_boxes=True,
        )
        part = tf.ensure_shape(tf.slice(image, begin, size), [None, None, 3])
        image = tf.image.resize(part, [SIZE, SIZE])
        return tf.image.random_flip_left_right(image)

    calls = tf.data.AUTOTUNE if parallel else None
    data = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths))
    data = data.map(load, num_parallel_calls=calls).batch(BATCH)
    data = data.prefetch(tf.data.AUTOTUNE)
    return lambda: (data for _ in range(EPOCHS))


def keras_directory(work: pathlib.Path) -> Callable[[], Epochs]:
    """image_dataset_from_directory, with a crop and flip of its batches."""
    import keras
    import tensorflow as tf

    data = keras.utils.image_dataset_from_directory(
        work / "images" / "train",
        image_size=(256, 256),
        batch_size=BATCH,
        label_mode=None,
        verbose=False,
    )

    def augment(images: tf.Tensor) -> tf.Tensor:
        count = tf.shape(images)[0]
        area = tf.random.uniform([count], _LEAST_AREA, 1)
        ratio = tf.exp(tf.random.uniform([count], *(float(v) for v in _LOG_RATIOS)))
        sides = tf.stack([tf.sqrt(area / ratio), tf.sqrt(area * ratio)], 1)
        sides = tf.minimum(sides, 1)
        corners = tf.random.uniform([count, 2]) * (1 - sides)
        boxes = tf.concat([corners, corners + sides], 1)
        images = tf.image.crop_and_resize(images, boxes, tf.range(count), [SIZE, SIZE])
        return tf.image.random_flip_left_right(images)

    data = data.map(augment, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return lambda: (data for _ in range(EPOCHS))


def torch_loader(work: pathlib.Path) -> Callable[[], Epochs]:
    """PyTorch's DataLoader with Pillow: a process for each core, uint8 images."""
    from torch.utils import data as torch_data

    loader = torch_data.DataLoader(
        _PillowImages(_paths(work)),
        batch_size=BATCH,
        shuffle=True,
        num_workers=_cores(),
    )
    return lambda: (loader for _ in range(EPOCHS))


class _PillowImages:
    """Images of files, as torchvision's RandomResizedCrop and flip make them."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Any:
        import numpy as np
        import torch
        from PIL import Image

        draw = np.random.default_rng(index)
        with Image.open(self._paths[index]) as file:
            image = file.convert("RGB")
        width, height = image.size
        area = draw.uniform(_LEAST_AREA, 1) * width * height
        ratio = np.exp(draw.uniform(*_LOG_RATIOS))
        across = min(width, round(np.sqrt(area * ratio)))
        down = min(height, round(np.sqrt(area / ratio)))
        left = draw.integers(0, width - across + 1)
        top = draw.integers(0, height - down + 1)
        part = image.crop((left, top, left + across, top + down))
        part = part.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        if draw.uniform() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(part)).permute(2, 0, 1)


def atelier(work: pathlib.Path, container: str) -> Callable[[], Epochs]:
    """Atelier, from one of `CONTAINERS`."""
    from pipelines import augmentation
    from pipelines.config import DataConfig
    from pipelines.dataset import open_dataset
    from pipelines.order import Order

    dataset = open_dataset(
        DataConfig(
            dataset=str(work / CONTAINERS[container]),
            batch_size=BATCH,
            image_size=str(SIZE),
            cache="none",
        )
    )
    order = Order(dataset.split_sizes["train"], BATCH)
    feed = dataset.training(order, augmentation.parse(f"crop={_LEAST_AREA},flip"))
    steps = int(order.steps_per_epoch)

    def epochs() -> Epochs:
        batches = iter(feed.batches(0))
        for _ in range(EPOCHS):
            yield (next(batches).inputs for _ in range(steps))

    return epochs


_LOG_RATIOS = (-0.2876820724517809, 0.2876820724517809)  # of _RATIOS
_ARMS: dict[str, Callable[[pathlib.Path], Callable[[], Epochs]]] = {
    "bare decode_jpeg": bare,
    "tf.data, tutorial": tutorial,
    "tf.data, AUTOTUNE": lambda work: tutorial(work, parallel=True),
    "Keras directory": keras_directory,
    "PyTorch DataLoader": torch_loader,
}
NAMES = (*_ARMS, *(f"atelier {container}" for container in CONTAINERS))


if __name__ == "__main__":
    main()
