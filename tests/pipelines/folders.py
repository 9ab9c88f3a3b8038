"""Small folders of real images, written by Pillow."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_image(
    path: Path,
    seed: int,
    size: tuple[int, int] = (8, 8),
    mode: str = "RGB",
) -> None:
    """Writes an image of noise; `size` is (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if mode == "L" else (*size, len(mode))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels, mode).save(path)


def write_classes(
    folder: Path,
    per_class: int = 10,
    suffix: str = "png",
    first_seed: int = 0,
    **image: object,
) -> Path:
    """Writes classes `cat` and `dog` of `per_class` different images."""
    for label, name in enumerate(("cat", "dog")):
        for i in range(per_class):
            seed = first_seed + label * per_class + i
            write_image(folder / name / f"{i:03}.{suffix}", seed, **image)
    return folder
