"""Image files that a user names for `predict`: found, decoded, and told apart."""

import concurrent.futures
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from base.cores import available_cores
from base.errors import UserError
from pipelines import preprocessing
from pipelines.headers import HeaderError, read_header
from pipelines.sources.encoded import check_pixels
from pipelines.sources.tree import IMAGE_SUFFIXES
from pipelines.tf_messages import first_sentence


class FileBatch(NamedTuple):
    """Files and what came of them.

    Attributes:
        paths: of the files that were decoded, in order.
        images: float32 [len(paths), H, W, C] from 0 to 255.
        problems: a line for each file that was not, which names it.
    """

    paths: list[str]
    images: np.ndarray
    problems: list[str]


def list_images(inputs: Sequence[str]) -> list[str]:
    """Paths of the images that files and folders name, in order, each once.

    A file counts whatever its suffix; of a folder, the images at any depth by name.

    Raises:
        UserError: a path does not exist, or there are no images.
    """
    paths: dict[str, None] = {}
    for given in inputs:
        if os.path.isdir(given):
            paths |= dict.fromkeys(_images_within(given))
        elif os.path.exists(given):
            paths[given] = None
        else:
            raise UserError(f"--input={given}: no such file or folder.")
    if not paths:
        raise UserError(
            f"--input={','.join(inputs)} holds no images; expected files, or folders "
            f"of {', '.join(suffix[1:] for suffix in IMAGE_SUFFIXES)}."
        )
    return list(paths)


def read_images(
    paths: Sequence[str],
    shape: tuple[int, int, int],
    batch_size: int,
    max_pixels: int,
) -> Iterator[FileBatch]:
    """Decodes files as training does, in parallel; a bad one is named, not raised.

    Args:
        paths: of image files.
        shape: (height, width, channels) to resize to.
        batch_size: files in a batch.
        max_pixels: larger images are refused before they are decoded.
    """
    decode = tf.function(
        lambda contents: preprocessing.prepare_image(contents, shape),
        input_signature=[tf.TensorSpec([], tf.string)],
    )

    def read(path: str) -> np.ndarray | str:
        return _read(path, decode, max_pixels)

    with concurrent.futures.ThreadPoolExecutor(len(available_cores())) as pool:
        for start in range(0, len(paths), batch_size):
            chunk = paths[start : start + batch_size]
            results = dict(zip(chunk, pool.map(read, chunk), strict=True))
            images = {p: r for p, r in results.items() if not isinstance(r, str)}
            problems = [r for r in results.values() if isinstance(r, str)]
            pixels = np.zeros((len(images), *shape), np.float32)
            for row, image in enumerate(images.values()):
                pixels[row] = image
            yield FileBatch(list(images), pixels, problems)


def _read(
    path: str, decode: Callable[[tf.Tensor], tf.Tensor], max_pixels: int
) -> np.ndarray | str:
    """The image, or why there is none."""
    try:
        contents = Path(path).read_bytes()
        check_pixels(path, read_header(contents), max_pixels)
        return decode(tf.constant(contents)).numpy()
    except HeaderError as error:
        return f"{path} {error}."
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    except tf.errors.OpError as error:
        return f"{path} cannot be decoded ({first_sentence(error.message)})."


def _images_within(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES):
                yield os.path.join(place, name)
