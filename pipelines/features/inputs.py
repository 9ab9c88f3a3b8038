"""What features that a model gets answer, beyond what all do."""

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from base.errors import UserError
from pipelines.features.base import Feature

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from pipelines.augmentation import Augmentation
    from pipelines.cropping import Cropping


class InputFeature(Feature):
    """What a model gets of an example.

    Attributes:
        shape: of one example, without the batch; a side is None where it differs.
        dtype: name of the stored arrays' type.
    """

    shape: tuple[int | None, ...]
    dtype: ClassVar[str]

    @property
    def complete_shape(self) -> tuple[int, ...]:
        """`shape`, where all sides are known; once a dataset is open they are."""
        return tuple(side or 0 for side in self.shape)

    @classmethod
    def of_array(cls, shape: Sequence[int], dtype: "np.dtype") -> Self | None:
        """The feature of the rows of an array of a file, or None if it is no such.

        Args:
            shape: of one row.
            dtype: of the array.
        """
        del shape, dtype
        return None

    def as_stored(self, rows: "np.ndarray") -> "np.ndarray":
        """Rows of an array that `of_array` took: [k, *shape], of `dtype`."""
        raise TypeError(f"no array holds a {self.kind}")

    @property
    @abc.abstractmethod
    def example_bytes(self) -> int:
        """Bytes of an example in a batch."""

    @property
    @abc.abstractmethod
    def pixels(self) -> int:
        """How much of it there is to read, by which examples are put into chunks."""

    def resized(self, asked: str | None, name: str, max_pixels: int) -> "InputFeature":
        """The feature after `--image_size`, with a complete shape.

        Args:
            asked: the flag's value, if it is given.
            name: of the source.
            max_pixels: that an image may have.

        Raises:
            UserError: the size is missing, too large, or asked of what are no images.
        """
        del max_pixels
        if asked is not None:
            raise self.no_images(f"--image_size={asked}", name)
        return self

    def require_few_pixels(self, max_pixels: int, name: str) -> None:
        """Raises UserError where every example is larger than `--max_pixels`."""

    def decode(self, contents: "tf.Tensor", stored: "InputFeature") -> Any:
        """One encoded example, string [], as a batch has it: graph code.

        Args:
            contents: bytes of a file.
            stored: the feature of the source, whose shape may be complete.
        """
        raise TypeError(f"a {self.kind} is not encoded")

    def check_augmentation(self, flag: str, name: str) -> None:
        """Raises UserError where the examples cannot be augmented."""
        raise self.no_images(flag, name)

    def crops_originals(self, stored: "InputFeature", encoded: bool) -> bool:
        """Whether crops are cut from the stored images before they are resized."""
        del stored, encoded
        return False

    def cropping(self, augmentation: "Augmentation", seed: int) -> "Cropping":
        """The crops that are cut while images are read."""
        raise TypeError(f"a {self.kind} cannot be cropped")

    def check_training(self, read: Callable[[], Any], name: str) -> None:
        """Checks that a model can learn from the training split's values.

        Args:
            read: gives them, where they are looked at.
            name: of the source.

        Raises:
            UserError: it cannot.
        """

    def statistics(self, read: Callable[[], Any]) -> dict[str, Any]:
        """What models need to know of the training split: plain JSON values."""
        del read
        return {}

    def take_over(self, found: "InputFeature", name: str, encoded: bool) -> None:
        """Checks that examples of a source can be given as this feature.

        Args:
            found: of the source.
            name: of the source.
            encoded: whether its examples are decoded yet to be.

        Raises:
            UserError: they cannot.
        """
        if encoded or self.shape == found.shape:
            return
        raise UserError(
            f"{name} holds {found.kind}s of shape {found.shape}; expected "
            f"{self.shape}, as the run was trained on."
        )

    def serialize(self, value: Any) -> "tf.train.Feature":
        """An encoded example, or the bytes of an array."""
        import tensorflow as tf

        contents = value if isinstance(value, bytes) else value.tobytes()
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[contents]))

    def parse(self, stored: "tf.train.Feature") -> "np.ndarray":
        """The array of which `serialize` stored the bytes."""
        import numpy as np

        (contents,) = stored.bytes_list.value
        return np.frombuffer(contents, self.dtype).reshape(self.complete_shape)

    def require_packable(self, name: str) -> None:
        """Raises UserError for examples that `pack` has no form for."""

    @abc.abstractmethod
    def tfds_feature(self, encoded: bool) -> Any:
        """What TFDS is told of it."""

    def no_images(self, flag: str, name: str) -> UserError:
        """The error for a flag that concerns images alone."""
        option = flag.partition("=")[0]
        return UserError(f"{flag}: {name} holds no images; leave {option} out.")
