"""How much memory training takes from a file that is larger than what it may take.

`python -m benchmarks.memory [--hdf5_gb=4] [--steps=300] [--blocks=1] [--json=FILE]`
writes an HDF5 file of images of 64×64 pixels and trains on it: the peak of the resident
set, which the page cache is no part of, has to stay below 2 GB.
"""

import argparse
import json
import pathlib
import resource
import sys
import tempfile
from collections.abc import Sequence

from benchmarks import arms

_WANTED_GB = 2.0
_SHAPE = (64, 64, 3)
_BATCH = 128
_AT_ONCE = 4096


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the file, trains on it, and prints the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hdf5_gb", type=float, default=4.0)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--train", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.train is not None:
        _train(options.train)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        examples = _write(home / "images.h5", options.hdf5_gb)
        command = (sys.executable, "-m", "benchmarks.memory", "--train")
        flags = (
            f"--dataset={home / 'images.h5'}",
            f"--epochs={options.steps * _BATCH / examples}",
            f"--evaluate_every={options.steps * _BATCH / examples}",
            f"--batch_size={_BATCH}",
            "--model=cnn",
            "--model_args=width=4,depth=2",
            "--progress=quiet",
        )
        found = [
            arms.run_once(arms.Arm("hdf5", (*command, *flags, f"--run_dir={home / r}")))
            for r in (f"run{block}" for block in range(options.blocks))
        ]
    peaks = [sample.figures["peak_gb"] for sample in found]
    print(f"{arms.machine()}\n{examples} images in {options.hdf5_gb:g} GB of HDF5")
    print(f"peak {arms.spread(peaks)} GB, wanted below {_WANTED_GB:g}")
    print(f"whole command {arms.spread([s.wall for s in found], 1)} s")
    if options.json:
        options.json.write_text(json.dumps(arms.as_json({"hdf5": found}), indent=2))


def _write(path: pathlib.Path, gigabytes: float) -> int:
    """Writes images, all different, and returns their number."""
    import h5py
    import numpy as np

    draw = np.random.default_rng(0)
    noise = draw.integers(0, 256, (_AT_ONCE, *_SHAPE), np.uint8)
    examples = int(gigabytes * 1e9 / noise[0].size)
    with h5py.File(path, "w") as file:
        for split, count in (("train", examples), ("validation", _BATCH)):
            images = file.create_dataset(f"x_{split}", (count, *_SHAPE), "u1")
            for start in range(0, count, _AT_ONCE):
                part = noise[: count - start]
                # The number of the image, and of the split, in its first pixels.
                numbers = np.arange(start, start + len(part), dtype="<u4")
                part[:, 0, 0, 0] = len(split)
                part[:, 0, 1:5, 0] = numbers.view(np.uint8).reshape(-1, 4)
                images[start : start + len(part)] = part
            file[f"y_{split}"] = np.arange(count) % 10
    return examples


def _train(flags: Sequence[str]) -> None:
    """Trains once and prints the peak of this process."""
    from app.main import main as atelier

    status = atelier(["train", *flags])
    if status:
        raise SystemExit(status)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_gb": peak * 1024 / 1e9}))


if __name__ == "__main__":
    main()
