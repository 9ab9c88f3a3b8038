"""Random changes to training images: what a user may ask for, and applying it.

The changes themselves are in `geometric` (where pixels come from) and `color` (what
becomes of their values). Which of them a part of an example takes part in, its feature
says.
"""

import contextlib
import dataclasses
import math
from typing import NamedTuple

import tensorflow as tf

from base import own_parts
from base.errors import UserError, did_you_mean
from pipelines import color, geometric
from pipelines.cropping import Cropping

_EXAMPLE = "such as flip,translate=2,cutout=8"
# Pixels of images up to which a batch is cropped as a whole.
_LARGEST_TO_WARP = 64 * 64


@dataclasses.dataclass(frozen=True)
class _Bounds:
    """The argument of a change: its range, and its value where none is given."""

    meaning: str
    low: float
    high: float
    default: float | None = None
    whole: bool = False

    @property
    def takes_value(self) -> bool:
        """Whether there is anything to give; else naming the change is all."""
        return self.low < self.high


_ARGUMENTS = {
    "crop": _Bounds("the least share of the area kept", 0.01, 1, default=0.08),
    "flip": _Bounds("no value", 1, 1, default=1, whole=True),
    "alternating_flip": _Bounds("no value", 1, 1, default=1, whole=True),
    "translate": _Bounds("pixels", 1, 4096, whole=True),
    "rotate": _Bounds("degrees", 0, 180),
    "reflect": _Bounds("no value", 1, 1, default=1, whole=True),
    "brightness": _Bounds("a fraction of 255", 0, 1),
    "contrast": _Bounds("a fraction", 0, 1),
    "noise": _Bounds("a standard deviation of pixel values", 0, 255),
    "cutout": _Bounds("pixels", 1, 4096, whole=True),
    "mixup": _Bounds("alpha of a Beta distribution", 0.001, 100),
}


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The random changes to make, in this order; 0 leaves one out.

    All are uniform draws unless said otherwise, and keyed by (seed, position).

    Attributes:
        crop: random resized crop that keeps at least this share of the area, of an
            aspect ratio from 3/4 to 4/3 (Szegedy et al. 2015, arXiv:1409.4842); where
            images are larger than the image size, taken from the original.
        flip: mirrors left and right with probability 1/2.
        alternating_flip: mirrors half of the examples left and right in the first
            epoch, the other half in the second, and so on: of two epochs an example is
            mirrored in one (Jordan 2024, arXiv:2404.00498, section 3.6).
        translate: shifts by up to so many pixels each way; black comes in.
        rotate: by up to so many degrees each way about the centre, bilinear; black
            comes in.
        reflect: with translate and rotate: in place of black, the image comes in,
            mirrored at its border.
        brightness: adds up to this share of 255, or subtracts it.
        contrast: stretches about the image's mean by a factor from 1 - contrast to
            1 + contrast.
        noise: adds normal noise of this standard deviation to each value.
        cutout: sets a square of so many pixels a side to mid-grey (128); its centre
            lies anywhere in the image (DeVries and Taylor 2017, arXiv:1708.04552).
        mixup: mixes neighbours in the global batch, (0, 1), (2, 3)…, and their labels,
            in shares drawn from Beta(mixup, mixup) (Zhang et al. 2018,
            arXiv:1710.09412).
        own: functions of the user's own, `package.module:name`, after all others and
            in the order given; see `own_augmentation`.
    """

    crop: float = 0.0
    flip: int = 0
    alternating_flip: int = 0
    translate: int = 0
    rotate: float = 0.0
    reflect: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    own: tuple[str, ...] = ()


NONE = Augmentation()


class Draws(NamedTuple):
    """What the random changes of a batch depend on.

    Attributes:
        positions: int64 [B].
        seed: of the run.
        examples: by number, int64 [B]; for alternating_flip.
        epochs: that each of them is in, int64 [B]; for alternating_flip.
    """

    positions: tf.Tensor
    seed: int
    examples: tf.Tensor | None = None
    epochs: tf.Tensor | None = None


def parse(text: str) -> Augmentation:
    """The augmentation that `--augment` asks for.

    Raises:
        UserError: an unknown name, one named twice, a value missing or out of range.
    """
    values: dict[str, float] = {}
    own: list[str] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = item.partition("=")
        if name in values or name in own:
            raise UserError(f"--augment={text}: {name} is given twice; give it once.")
        if name in _ARGUMENTS:
            values[name] = _parse_value(name, value if "=" in item else None)
        else:
            own.append(_own(name, item))
    if "flip" in values and "alternating_flip" in values:
        raise UserError(
            f"--augment={text}: flip and alternating_flip both mirror; leave one out."
        )
    if "reflect" in values and not {"translate", "rotate"} & {*values}:
        raise UserError(
            f"--augment={text}: reflect is what translate and rotate bring in; add one "
            "of them, or leave it out."
        )
    return Augmentation(own=tuple(own), **values)  # type: ignore[arg-type]


def _own(name: str, item: str) -> str:
    """The reference that an item of `--augment` is.

    Raises:
        UserError: it is none, or has a value.
    """
    if not own_parts.is_reference(name):
        hint = did_you_mean(name, _ARGUMENTS)
        raise UserError(
            f"--augment: {name!r} is not known{hint}. Known are "
            f"{', '.join(_ARGUMENTS)}, {_EXAMPLE}, and functions of your own, "
            f"{own_parts.FORM}."
        )
    if name != item:
        raise UserError(
            f"--augment: received {item}; expected {name}, without a value."
        )
    return name


def _parse_value(name: str, value: str | None) -> float:
    bounds = _ARGUMENTS[name]
    if value is None and bounds.default is not None:
        return bounds.default
    number = math.nan
    if bounds.takes_value:
        with contextlib.suppress(ValueError):
            number = int(value or "") if bounds.whole else float(value or "")
    if not bounds.low <= number <= bounds.high:
        kind = "a whole number" if bounds.whole else "a number"
        expected = (
            f"expected {name}, without a value."
            if not bounds.takes_value
            else f"expected {kind} from {bounds.low:g} to {bounds.high:g}, "
            f"{bounds.meaning}."
        )
        given = name if value is None else f"{name}={value}"
        raise UserError(f"--augment: received {given}; {expected}")
    return number


def moved(augmentation: Augmentation, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Images after what comes from elsewhere in them: [B,H,W,C] from 0 to 255.

    What is drawn depends on (seed, position) alone. Images stay uint8 up to the first
    change that needs fractions, and are cropped here only if they have not been cropped
    while decoding (`cropping`).

    Args:
        augmentation: what to do.
        images: uint8 [B,H,W,C], of a static shape.
        draws: what the changes depend on.
    """
    positions, seed = draws.positions, draws.seed
    if augmentation.crop:
        images = _cropped(images, augmentation.crop, positions, seed)
    mirrored = _mirrored(augmentation, draws)
    reflect = bool(augmentation.reflect)
    if augmentation.translate:
        images = geometric.shift(
            images, mirrored, augmentation.translate, reflect, positions, seed
        )
    elif mirrored is not None:
        images = geometric.mirror(images, mirrored)
    if augmentation.rotate:
        images = geometric.rotate(images, augmentation.rotate, reflect, positions, seed)
    return images


def colored(augmentation: Augmentation, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Images, as `moved` gives them, after what changes values where they are."""
    positions, seed = draws.positions, draws.seed
    if augmentation.brightness:
        images = color.brighten(images, augmentation.brightness, positions, seed)
    if augmentation.contrast:
        images = color.contrast(images, augmentation.contrast, positions, seed)
    if augmentation.noise:
        images = color.add_noise(images, augmentation.noise, positions, seed)
    if augmentation.cutout:
        images = color.cut_out(images, augmentation.cutout, positions, seed)
    return images


def _mirrored(augmentation: Augmentation, draws: Draws) -> tf.Tensor | None:
    """Which images are mirrored, bool [B]; None where none ever is."""
    if augmentation.flip:
        return geometric.mirrored_at(draws.positions, draws.seed)
    if not augmentation.alternating_flip:
        return None
    if draws.examples is None or draws.epochs is None:
        raise ValueError("alternating_flip depends on examples and epochs: give them")
    at_first = geometric.mirrored_at(draws.examples, draws.seed)
    return tf.not_equal(at_first, draws.epochs % 2 == 1)


def _cropped(
    images: tf.Tensor, least_area: float, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Random resized crops, enlarged to the images' own size: uint8.

    By the way that is the faster one for images of this size.
    """
    height, width = images.shape[1:3]
    if height * width <= _LARGEST_TO_WARP:
        return geometric.crop(images, least_area, positions, seed)
    cut = Cropping(least_area, mirrors=False, seed=seed, size=(height, width))
    return cut.cut(images, positions)
