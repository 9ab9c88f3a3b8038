"""Images: uint8 [H,W,C] from 0 to 255, as arrays or encoded."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from base.errors import UserError
from pipelines.config import parse_image_size
from pipelines.features.inputs import InputFeature

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from pipelines.augmentation import Augmentation, Draws
    from pipelines.cropping import Cropping


@dataclasses.dataclass(frozen=True)
class Image(InputFeature):
    """An image.

    Attributes:
        shape: height, width and channels. A source's height and width are None where
            its images differ in size.
    """

    shape: tuple[int | None, ...]

    kind: ClassVar[str] = "image"
    field: ClassVar[str] = "image"
    dtype: ClassVar[str] = "uint8"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, where they are known."""
        height, width, _ = self.complete_shape
        return height, width

    @classmethod
    def of_array(cls, shape: Sequence[int], dtype: "np.dtype") -> Self | None:
        """Images as uint8 [H,W], or [H,W,1 or 3]."""
        size = tuple(shape)
        if dtype == "uint8" and len(size) == 2:
            return cls((*size, 1))
        if dtype == "uint8" and len(size) == 3 and size[2] in (1, 3):
            return cls(size)
        return None

    def as_stored(self, rows: "np.ndarray") -> "np.ndarray":
        """Rows of an array as uint8 [k,H,W,C]."""
        return rows.reshape(len(rows), *self.complete_shape)

    def batch_spec(self) -> "tf.TensorSpec":
        """uint8 [None,H,W,C]."""
        import tensorflow as tf

        return tf.TensorSpec([None, *self.shape], tf.uint8)

    @property
    def example_bytes(self) -> int:
        """A byte for each value."""
        return math.prod(self.complete_shape)

    @property
    def pixels(self) -> int:
        """Height times width."""
        return math.prod(self.size)

    def resized(self, asked: str | None, name: str, max_pixels: int) -> "Image":
        """The image as `--image_size` has it, by default as it is."""
        height, width = parse_image_size(asked) or self.shape[:2]
        if height is None or width is None:
            raise UserError(
                f"the images of {name} differ in size; give --image_size=N or H,W, "
                "such as 224."
            )
        if height * width > max_pixels:
            raise UserError(
                f"--image_size={height},{width} is more than --max_pixels="
                f"{max_pixels}; expected a smaller size."
            )
        return dataclasses.replace(self, shape=(height, width, self.shape[2]))

    def require_few_pixels(self, max_pixels: int, name: str) -> None:
        """Raises UserError where all images are of one size, and it is too large."""
        if self.pixels > max_pixels:
            height, width = self.size
            raise UserError(
                f"{name} holds images of {height}×{width} pixels, more than "
                f"--max_pixels={max_pixels}; raise it."
            )

    def prepare(self, values: "tf.Tensor") -> "tf.Tensor":
        """Images [k,H,W,C] of any size, resized."""
        from pipelines import preprocessing

        return preprocessing.resize_images(values, self.size)

    def decode(self, contents: "tf.Tensor", stored: InputFeature) -> "tf.Tensor":
        """An encoded image, decoded and resized: uint8 [H,W,C]."""
        import tensorflow as tf

        from pipelines import preprocessing

        height, width, channels = self.complete_shape
        if stored.shape[:2] == self.shape[:2]:
            image = preprocessing.decode_image(contents, channels)
            return tf.ensure_shape(image, self.shape)
        return preprocessing.prepare_image(contents, (height, width, channels))

    def check_augmentation(self, flag: str, name: str) -> None:
        """Images can be augmented."""

    def moved(
        self, augmentation: "Augmentation", values: "tf.Tensor", draws: "Draws"
    ) -> "tf.Tensor":
        """Cropped, mirrored, shifted and rotated."""
        from pipelines import augmentation as augmentations

        return augmentations.moved(augmentation, values, draws)

    def colored(
        self, augmentation: "Augmentation", values: "tf.Tensor", draws: "Draws"
    ) -> "tf.Tensor":
        """Of other brightness and contrast, with noise and cutout."""
        from pipelines import augmentation as augmentations

        return augmentations.colored(augmentation, values, draws)

    def mixed(self, values: "tf.Tensor") -> "tf.Tensor":
        """Pixel values as float32."""
        import tensorflow as tf

        return tf.cast(values, tf.float32)

    def crops_originals(self, stored: InputFeature, encoded: bool) -> bool:
        """Where they are resized; from arrays only if those are larger.

        Smaller arrays are resized once and held.
        """
        if encoded:
            return stored.shape[:2] != self.shape[:2]
        return math.prod(stored.complete_shape[:2]) > self.pixels

    def cropping(self, augmentation: "Augmentation", seed: int) -> "Cropping":
        """Crops that are mirrored too, unless that is part of shifting."""
        from pipelines.cropping import Cropping

        mirrors = bool(augmentation.flip and not augmentation.translate)
        return Cropping(augmentation.crop, mirrors, seed, self.size)

    def take_over(self, found: InputFeature, name: str, encoded: bool) -> None:
        """Images of any size are resized, and encoded ones become grey or colored."""
        if encoded or found.shape[2] == self.shape[2]:
            return
        raise UserError(
            f"{name} holds images of {found.shape[2]} channels; expected "
            f"{self.shape[2]}, as the run was trained on."
        )

    def tfds_feature(self, encoded: bool) -> Any:
        """An encoded image, or the bytes of its pixels."""
        import numpy as np
        import tensorflow_datasets as tfds

        if encoded:
            return tfds.features.Image(shape=(None, None, self.shape[2]))
        return tfds.features.Tensor(
            shape=self.shape, dtype=np.uint8, encoding=tfds.features.Encoding.BYTES
        )
