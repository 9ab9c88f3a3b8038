"""CIFAR-10's JPEG files decoded by Pillow on all cores, for a peer that reads bytes.

`python -m benchmarks.decode_images FOLDER OUT` writes OUT/train.bin and OUT/test.bin,
uint8 [n, 3, 32, 32], and OUT/train.labels and OUT/test.labels, uint8 [n].
"""

import concurrent.futures
import os
import pathlib
import sys

import numpy as np
from PIL import Image

_FILES_AT_ONCE = 1000


def main() -> None:
    """Decodes both splits of the folder that the command line names."""
    folder, out = map(pathlib.Path, sys.argv[1:])
    cores = len(os.sched_getaffinity(0))
    with concurrent.futures.ProcessPoolExecutor(cores) as pool:
        for split in ("train", "test"):
            classes = sorted(path for path in (folder / split).iterdir())
            files = [sorted(os.scandir(path), key=lambda f: f.name) for path in classes]
            paths = [file.path for entries in files for file in entries]
            parts = [
                paths[first : first + _FILES_AT_ONCE]
                for first in range(0, len(paths), _FILES_AT_ONCE)
            ]
            images = np.concatenate(list(pool.map(decoded, parts)))
            labels = np.repeat(np.arange(len(files)), [len(f) for f in files])
            images.tofile(out / f"{split}.bin")
            labels.astype(np.uint8).tofile(out / f"{split}.labels")


def decoded(paths: list[str]) -> np.ndarray:
    """The images of some files: uint8 [n, 3, H, W]."""
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return np.stack(pixels).transpose(0, 3, 1, 2)


if __name__ == "__main__":
    main()
