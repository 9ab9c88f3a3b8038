"""What feeding images costs: Atelier's containers, their peers, and the limit.

`python -m benchmarks.pipeline [--data_dir=FOLDER] [--images=3000] [--blocks=3]
[--json=FILE]` reads two epochs of JPEG files by each arm, to random resized crops of
224×224, flipped at random: images a second and peak memory, beside the limit, which is
decoding the same bytes on all cores and nothing else. Without --data_dir the images are
random crops of 500×375 of scikit-learn's two photographs.

`--cifar=FOLDER` (of train/CLASS and test/CLASS) measures the seconds to a first batch
instead, from the folder, which is not in the page cache, and from the folder packed.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks import arms
from benchmarks.pipeline_arms import CONTAINERS, NAMES

_HEIGHT, _WIDTH, _QUALITY = 375, 500, 90
_VALIDATION = 8  # images, for a split that nothing reads
# Least ratios to the limit and to the tutorial.
_WANTED = {
    "atelier folder": (0.85, 3),
    "atelier tar": (0.85, 3),
    "atelier packed": (0.85, 3),
    "atelier packed-tfrecord": (0.85, 3),
    "atelier packed-decoded": (2.5, 10),
}
_LIMIT, _TUTORIAL = NAMES[0], NAMES[1]
_FIRST_BATCH = {"folder": 5.0, "packed": 1.0}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the arms and prints what they reach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--cifar", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--first", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.first:
        print(json.dumps(_first_batch(options.first)))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        # What one arm has read, none is to know.
        os.environ["XDG_CACHE_HOME"] = str(work / "cache")
        if options.cifar:
            samples = _measure_starts(work, options.cifar.resolve(), options.blocks)
        else:
            _prepare(work, options.data_dir, options.images)
            samples = arms.run_blocks(_arms(work), options.blocks)
            _report(samples)
    if options.json:
        options.json.write_text(json.dumps(arms.as_json(samples), indent=2))


def _arms(work: pathlib.Path) -> list[arms.Arm]:
    names = list(NAMES)
    if not importlib.util.find_spec("torch"):
        names.remove("PyTorch DataLoader")
        print("torch is not installed (benchmarks/requirements.txt): left out")
    command = (sys.executable, "-m", "benchmarks.pipeline_arms")
    found = [arms.Arm(name, (*command, name, str(work))) for name in names]
    # The limit once more: its ratio to itself is the noise.
    again = arms.Arm(f"{_LIMIT} again", (*command, _LIMIT, str(work)))
    return [*found, again]


def _prepare(work: pathlib.Path, given: pathlib.Path | None, images: int) -> None:
    """Makes the working set: a folder, and the containers made of it."""
    folder = work / "images"
    if given is None:
        _draw_images(folder, images)
    else:
        _link_images(folder, given.resolve(), images)
    found = list((folder / "train").glob("*/*"))
    size = sum(path.stat().st_size for path in found) / len(found)
    print(f"{len(found)} images, {size / 1e3:.0f} kB each; packing", flush=True)
    for flags in (
        [f"--pack_dir={work / CONTAINERS['tar']}", "--format=tar"],
        [f"--pack_dir={work / CONTAINERS['packed']}"],
        [f"--pack_dir={work / CONTAINERS['packed-tfrecord']}", "--format=tfrecord"],
        [
            f"--pack_dir={work / CONTAINERS['packed-decoded']}",
            "--decode",
            "--image_size=256",
            "--format=tfrecord",  # large records are read at once, by place
        ],
    ):
        _pack(folder, *flags)


def _pack(folder: pathlib.Path, *flags: str) -> None:
    command = (sys.executable, "-m", "app.main", "pack", f"--dataset={folder}")
    script = "import subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
    script += " print({})"
    arms.run_once(arms.Arm("pack", (sys.executable, "-c", script, *command, *flags)))


def _draw_images(folder: pathlib.Path, images: int) -> None:
    import numpy as np
    from PIL import Image
    from sklearn import datasets

    draw = np.random.default_rng(0)
    photographs = [Image.fromarray(a) for a in datasets.load_sample_images().images]
    for number in range(images + 2 * _VALIDATION):
        split = "train" if number < images else "validation"
        label = number % len(photographs)
        photograph = photographs[label]
        left = int(draw.integers(0, photograph.width - _WIDTH + 1))
        top = int(draw.integers(0, photograph.height - _HEIGHT + 1))
        path = folder / split / str(label) / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = photograph.crop((left, top, left + _WIDTH, top + _HEIGHT))
        part.save(path, quality=_QUALITY)


def _link_images(folder: pathlib.Path, given: pathlib.Path, images: int) -> None:
    """Links to some of the JPEG files in `given`, spread over its classes."""
    top = given / "train" if (given / "train").is_dir() else given
    classes = [path for path in sorted(top.iterdir()) if path.is_dir()]
    share = -(-images // max(1, len(classes)))
    for place in classes:
        found = sorted(p for p in place.rglob("*") if p.suffix.lower() in _JPEG)
        for number, path in enumerate(found[: share + _VALIDATION]):
            split = "validation" if number < _VALIDATION else "train"
            link = folder / split / place.name / f"{number:06}.jpg"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    if not (folder / "train").is_dir():
        raise SystemExit(f"--data_dir={given} holds no CLASS/*.jpg to speak of")


_JPEG = (".jpg", ".jpeg")


def _report(samples: dict[str, list[arms.Sample]]) -> None:
    print(f"\n{arms.machine()}")
    print(f"{'':24} {'images/s, epoch 1':26} {'epoch 2':26} {'µs CPU':>7} {'MB':>7}")
    for name, found in samples.items():
        first, second = (
            arms.spread([s.figures[f"epoch_{e}"] for s in found], 0) for e in (1, 2)
        )
        cpu = min(s.figures["cpu_microseconds_2"] for s in found)
        peak = max(s.figures["peak_mb"] for s in found)
        print(f"{name:24} {first:26} {second:26} {cpu:7.0f} {peak:7.0f}")
    print("\nratios of epoch 2, block by block")
    for name, (of_limit, of_tutorial) in _WANTED.items():
        limit = arms.ratios(samples, name, _LIMIT, "epoch_2")
        tutorial = arms.ratios(samples, name, _TUTORIAL, "epoch_2")
        print(
            f"{name:24} of the limit {arms.spread(limit, 2)}, wanted {of_limit}; "
            f"of the tutorial {arms.spread(tutorial, 1)}, wanted {of_tutorial}"
        )
    noise = arms.ratios(samples, f"{_LIMIT} again", _LIMIT, "epoch_2")
    print(f"{'noise':24} of the limit {arms.spread(noise, 2)}")


def _measure_starts(
    work: pathlib.Path, folder: pathlib.Path, blocks: int
) -> dict[str, list[arms.Sample]]:
    """Seconds to a first batch, from a folder that is not in the page cache."""
    packed = work / "packed"
    _pack(folder, f"--pack_dir={packed}")
    samples: dict[str, list[arms.Sample]] = {name: [] for name in _FIRST_BATCH}
    samples["folder, seen before"] = []
    command = (sys.executable, "-m", "benchmarks.pipeline")
    for _ in range(blocks):
        for path in (work / "cache").rglob("*.facts"):
            path.unlink()
        for name in samples:
            place = packed if name == "packed" else folder
            _evict(place)
            arm = arms.Arm(name, (*command, f"--first={place}"))
            samples[name].append(arms.run_once(arm))
    print(f"\n{arms.machine()}")
    for name, found in samples.items():
        seconds = [s.figures["seconds"] for s in found]
        wanted = _FIRST_BATCH.get(name)
        goal = f", wanted at most {wanted:g}" if wanted else ""
        print(f"first batch from {name:20} {arms.spread(seconds, 2)} s{goal}")
    return samples


def _evict(place: pathlib.Path) -> None:
    """Asks the kernel to forget the contents of all files in a folder."""
    for path in place.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def _first_batch(place: str) -> dict[str, float]:
    """Seconds from TensorFlow's import to a batch of 128."""
    from app import caches, tf_startup

    tf_startup.import_tensorflow()
    caches.keep_file_facts()
    started = time.monotonic()
    from pipelines.config import DataConfig
    from pipelines.dataset import open_dataset
    from pipelines.order import Order

    dataset = open_dataset(DataConfig(dataset=place, batch_size=128, cache="none"))
    feed = dataset.training(Order(dataset.split_sizes["train"], 128))
    next(iter(feed.batches(0)))
    return {"seconds": time.monotonic() - started}


if __name__ == "__main__":
    main()
