"""A folder of JPEG files for tests of replicas: scanned digits, compressed."""

import pathlib

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write(folder: pathlib.Path, count: int = 300) -> pathlib.Path:
    """Writes `count` images of 16x16 pixels as CLASS/NUMBER.jpg."""
    digits = load_digits()
    for i in range(count):
        pixels = np.kron(digits.images[i] * 15.9, np.ones([2, 2])).astype(np.uint8)
        path = folder / str(digits.target[i]) / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)
    return folder
