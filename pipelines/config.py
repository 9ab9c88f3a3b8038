"""What a user says about data: each field is a flag of the same name."""

import dataclasses
import math
import re

from base.errors import UserError
from base.fields import flag, require

BALANCED = "balanced"
OVERSAMPLE = "oversample"
_SET_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The data of a run: source, split, batches, preprocessing and augmentation."""

    dataset: str = flag(
        "digits",
        "Where examples come from: `digits`; a folder of images: CLASS/*.jpg (jpeg, "
        "png, bmp, gif), with or without train/, validation/, test/ above the classes; "
        "a folder that `pack` or TensorFlow Datasets wrote; `tfds:NAME[/CONFIG]`; "
        "the same in an uncompressed *.tar; *.npz or *.h5 of arrays x_train, y_train, "
        "with or without x_validation…, x_test… (integer targets are classes, floats "
        "are values, 0 and 1 [n,labels] sets of labels); a table, *.csv or *.parquet, "
        "with --target; or package.module:function of your own, which gives a source "
        "or arrays.",
    )
    target: str | None = flag(
        None,
        "Column of a table to predict: texts, integers and booleans are classes, reals "
        "are values, texts with `;` between names sets of labels.",
    )
    weights: str | None = flag(
        None,
        "Column of a table that says how much each training row counts in the loss: "
        "numbers above 0, scaled to a mean of 1. It is no input of the model.",
    )
    class_weights: str | None = flag(
        None,
        "How much a class's training examples count in the loss: `balanced` (inversely "
        "to their number), or weights such as `cat=1,dog=2.5` (1 for others).",
    )
    balance: str = flag(
        "none",
        "`oversample`: in an epoch every class comes as often as the largest one, the "
        "examples of smaller classes several times.",
        choices=("none", OVERSAMPLE),
    )
    data_dir: str | None = flag(
        None,
        "Where TensorFlow Datasets keeps its data (tfds:NAME; by default "
        "~/tensorflow_datasets), and a folder that a relative --dataset path is looked "
        "up in, too.",
        resumable=True,
    )
    split: str = flag(
        "0.8,0.1,0.1",
        "Train, validation and test fractions, for what the source does not split "
        "itself. Split by content hash within each class.",
    )
    validation_sets: str | None = flag(
        None,
        "Further sets that are evaluated whenever the validation split is, such as "
        "`clean=FOLDER,noisy=FOLDER`: any source with the same classes, all of it. "
        "metrics.jsonl has them as validation_clean/… and so on.",
    )
    batch_size: int = flag(
        128, "Examples in a global batch, divided among the replicas."
    )
    image_size: str | None = flag(
        None, "Images are resized to N×N or H×W pixels: `N` or `H,W`. Default: as is."
    )
    augment: str = flag(
        "",
        "Random changes to training images, for example `flip,translate=2,cutout=8`. "
        "Known: crop[=MIN_AREA], flip or alternating_flip, translate=PIXELS, "
        "rotate=DEGREES, reflect (what these two bring in is the image mirrored at its "
        "border, not black), brightness=FRACTION, contrast=FRACTION, noise=STD, "
        "cutout=PIXELS, mixup=ALPHA. Applied in this order, whatever the order given; "
        "after them functions of your own, package.module:function, (images, keys) -> "
        "images.",
    )
    cache: str = flag(
        "auto",
        "Whether decoded training data stays in memory: `auto` where it fits into a "
        "quarter of the free memory and 2 GB, `memory` always, `none` never.",
        choices=("auto", "memory", "none"),
        resumable=True,
    )
    max_pixels: int = flag(
        100_000_000,
        "An image of more pixels is refused before it is decoded.",
        resumable=True,
    )

    max_bad_examples: int = flag(
        0,
        "Images and table rows that may be left out because they cannot be used; each "
        "is named. Above 0 every image is decoded once at the start, to find them.",
    )

    def __post_init__(self) -> None:
        """Raises UserError for a value out of range."""
        bad, size, pixels = self.max_bad_examples, self.batch_size, self.max_pixels
        require(bad >= 0, "max_bad_examples", bad, "0 or more")
        require(size >= 1, "batch_size", size, "1 or more examples")
        require(pixels >= 1, "max_pixels", pixels, "1 or more pixels")
        known = ("auto", "memory", "none")
        require(self.cache in known, "cache", self.cache, f"one of {', '.join(known)}")
        parse_fractions(self.split)
        parse_image_size(self.image_size)
        parse_validation_sets(self.validation_sets)
        if self.class_weights not in (None, BALANCED):
            parse_class_weights(self.class_weights or "")
        if self.class_weights == BALANCED and self.balance == OVERSAMPLE:
            raise UserError(
                "--class_weights=balanced with --balance=oversample would count rare "
                "classes twice over; leave one of them out."
            )


def parse_class_weights(text: str) -> dict[str, float]:
    """Weights by class, from `cat=1,dog=2.5`."""
    weights: dict[str, float] = {}
    for item in text.split(","):
        name, _, value = item.rpartition("=")
        try:
            weight = float(value)
        except ValueError:
            weight = math.nan
        if not name or name in weights or not (math.isfinite(weight) and weight > 0):
            raise UserError(
                f"--class_weights={text}: received {item!r}; expected balanced, or "
                "each class once with a number above 0, such as cat=1,dog=2.5."
            )
        weights[name] = weight
    return weights


def parse_validation_sets(text: str | None) -> dict[str, str]:
    """What `--validation_sets` names: sources by the names of the sets."""
    sets: dict[str, str] = {}
    for item in [] if text is None else text.split(","):
        name, _, source = item.partition("=")
        if not _SET_NAME.fullmatch(name) or not source or name in sets:
            raise UserError(
                f"--validation_sets={text}: received {item!r}; expected each set once, "
                "by a name of letters, digits and _, such as clean=FOLDER,noisy=FOLDER."
            )
        sets[name] = source
    return sets


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Train, validation and test fractions from `--split`; they add up to 1."""
    try:
        fractions = [float(part) for part in text.split(",")]
    except ValueError:
        fractions = []
    if len(fractions) != 3 or not all(map(math.isfinite, fractions)):
        raise UserError(
            f"--split={text}: expected three fractions, train,validation,test, such as "
            "0.8,0.1,0.1."
        )
    train, validation, test = fractions
    if train <= 0 or validation <= 0 or test < 0:
        raise UserError(
            f"--split={text}: the train and validation fractions must be above 0; "
            "only the test fraction may be 0."
        )
    if abs(math.fsum(fractions) - 1) > 1e-6:
        raise UserError(
            f"--split={text}: the fractions add up to {math.fsum(fractions):g}; "
            "expected 1."
        )
    return train, validation, test


def parse_image_size(text: str | None) -> tuple[int, int] | None:
    """(height, width) from `--image_size`, or None where the flag is not given."""
    if text is None:
        return None
    try:
        sides = [int(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise UserError(
            f"--image_size={text}: expected N or H,W in pixels, such as 224 or 180,240."
        )
    return sides[0], sides[-1]
