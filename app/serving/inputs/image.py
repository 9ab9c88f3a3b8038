"""Images: encoded of any size, or pixels of the model's own.

Decoding and resizing are `pipelines.preprocessing`, which training and evaluation use.
"""

import dataclasses
import sys
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from app.configs.training import PredictionConfig
from app.serving import edge_cases, limits
from app.serving.inputs.base import (
    DEFAULT,
    ORDINARY,
    ArrayInput,
    GoldenInputs,
    ReadBatch,
    Signature,
    Specs,
)
from base.errors import UserError
from pipelines import preprocessing
from pipelines.dataset import Dataset
from pipelines.files import list_images, read_images

_SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"GI": ".gif", b"BM": ".bmp"}


@dataclasses.dataclass(frozen=True)
class ImageInput(ArrayInput):
    """`pixels` uint8 [None, H, W, C]; by default `image_bytes` string [None]."""

    kind = "image"
    raw_signature = "pixels"
    encoded = (DEFAULT, "image_bytes")
    litert = (
        "`pixels` only, as LiteRT has no operations that decode images: who calls it"
        " decodes and resizes."
    )
    golden_are = "images"
    example_column = "path"
    read_as = "files"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of what the model takes."""
        height, width, channels = (side or 0 for side in self.features.input.shape)
        return height, width, channels

    @property
    def raw_inputs(self) -> Specs:
        """`pixels` uint8 [None, H, W, C]."""
        return {"pixels": tf.TensorSpec([None, *self.shape], tf.uint8, name="pixels")}

    @property
    def further(self) -> dict[str, Signature]:
        """Encoded images."""
        signature, name = self.encoded
        specs = {name: tf.TensorSpec([None], tf.string, name=name)}
        decoded = Signature(specs, lambda given: {"pixels": self.decode(given[name])})
        return {signature: decoded}

    def decode(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """Decodes and resizes encoded images, string [B]: uint8 [B, H, W, C].

        Raises:
          tf.errors.InvalidArgumentError: when run, for bytes that are no image or too
            large an image; names the input.
        """

        def decode_row(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            contents = limits.require_decodable(*row, self.max_pixels)
            return preprocessing.prepare_image(contents, self.shape)

        with tf.name_scope("image_bytes"):
            image_bytes = limits.require_rows(image_bytes, "image_bytes")
            return tf.map_fn(
                decode_row,
                (image_bytes, tf.range(tf.size(image_bytes))),
                fn_output_signature=tf.TensorSpec(self.shape, tf.uint8),
            )

    def checked(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """Of the right shape, and some."""
        return limits.require_rows(super().checked(name, values), name)

    def golden(self, dataset: Dataset) -> GoldenInputs:
        """The first validation images as files, and what preprocessing gets wrong."""
        pixels = dataset.examples("validation", [0]).inputs[0]
        made = edge_cases.pictures(pixels, self.max_pixels)
        pictures = _ordinary(dataset) | made
        contents = tuple(pictures.values())
        raw = self.named(self._decoded_alone(contents))
        return GoldenInputs(tuple(pictures), contents, {self.raw_signature: raw})

    def _decoded_alone(self, contents: tuple[bytes, ...]) -> np.ndarray:
        """Decoded one by one by the evaluation's own preprocessing: [n, H, W, C]."""
        decode = tf.function(
            lambda one: preprocessing.prepare_image(one, self.shape),
            input_signature=[tf.TensorSpec([], tf.string)],
        )
        return np.stack([decode(one).numpy() for one in contents])

    def read(self, config: PredictionConfig, run: str) -> Iterator[ReadBatch]:
        """Files, and the images of folders; those that cannot be read are named.

        Raises:
          UserError: a file cannot be read, and none may be skipped.
        """
        del run
        assert config.input  # PredictionConfig refuses a missing one
        paths = list_images(config.input.split(","))
        for batch in read_images(paths, self.shape, config.batch_size, self.max_pixels):
            for problem in batch.problems:
                if not config.skip_unreadable:
                    raise UserError(f"{problem} --skip_unreadable goes on without it")
                print(f"skipped: {problem}", file=sys.stderr)
            yield ReadBatch(batch.paths, batch.images, len(batch.problems))

    def limits(self) -> Iterator[str]:
        """Which images are refused, and what is not looked at."""
        yield (
            f"An image of more than {self.max_pixels:,} pixels is refused"
            " before it is decoded. EXIF orientation is not applied; of an animation"
            " the first frame counts."
        )


def _ordinary(dataset: Dataset) -> dict[str, bytes]:
    """The first validation examples, as files."""
    indices = dataset.splits["validation"][:ORDINARY]
    found = dataset.source.read(indices)
    if dataset.source.encoded:
        encoded = list(found)
    else:
        encoded = [tf.io.encode_png(pixels).numpy() for pixels in found]
    return {
        f"validation-{i:02}{_SUFFIXES.get(contents[:2], '')}": contents
        for i, contents in enumerate(encoded)
    }
