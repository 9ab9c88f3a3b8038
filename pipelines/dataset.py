"""A dataset: a source, its splits, and the batches made of them. Begin here."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from base.errors import UserError
from pipelines import augmentation as augmentations
from pipelines import compatibility, own_augmentation, sample_weights
from pipelines import splits as splitting
from pipelines.augmentation import Augmentation
from pipelines.batch import Batch
from pipelines.config import OVERSAMPLE, DataConfig
from pipelines.cropping import Cropping
from pipelines.dataset_options import untuned
from pipelines.features import ExampleSpec
from pipelines.feed import Feed
from pipelines.memory import fits_in_memory
from pipelines.order import Balance, Order
from pipelines.reading import Reader
from pipelines.resident_evaluation import HeldBatches
from pipelines.sources.base import Source
from pipelines.sources.opening import open_source


class Examples(NamedTuple):
    """Examples as the model sees them without augmentation, to look at.

    Attributes:
        inputs: a batch of the input's feature: uint8 [k,H,W,C] images, float32 [k,F]
            vectors, a dict of arrays for rows of tables.
        labels: a batch of the target's feature: int64 [k] classes, float32 [k, …].
        names: path, or file and offset, of each.
    """

    inputs: Any
    labels: Any
    names: list[str]


def open_dataset(config: DataConfig) -> "Dataset":
    """The dataset that `config` describes, examined and split.

    Raises:
        UserError: it cannot be opened, read or split as asked.
    """
    return Dataset(open_source(config), config)


def open_whole(config: DataConfig, features: ExampleSpec) -> "Dataset":
    """All examples of what `config` names, as one split, `all`.

    They are decoded to the shape of `features`, and labelled by its classes.

    Raises:
        UserError: it cannot be opened or read, or its examples are of another kind.
    """
    return Dataset(open_source(config, like=features), config, whole=features)


class Dataset:
    """A source's examples, split, decoded and made into batches.

    Attributes:
        config: as given.
        source: where examples come from.
        features: what they are after preprocessing: shapes are complete.
        splits: indices into the source, int64, by the names in `SPLITS`.
    """

    _weights: sample_weights.ExampleWeights | None = None

    def __init__(
        self, source: Source, config: DataConfig, whole: ExampleSpec | None = None
    ) -> None:
        """Examines and splits `source`, or takes all of it as examples of `whole`.

        Raises:
            UserError: it cannot be read or split as asked.
        """
        source.examine(config.max_pixels, config.max_bad_examples)
        self.config = config
        self.source = source
        if whole is None:
            self.features = compatibility.final_features(source, config)
            self.splits = splitting.split_source(source, config.split)
            splitting.check_splits(source, self.splits, config.split)
            compatibility.check_training(config, source, self.splits["train"])
            self._weights = sample_weights.example_weights(
                config, source, self.splits["train"]
            )
        else:
            source.take_over(whole)
            self.features = whole
            self.splits = {"all": splitting.usable_examples(source)}
        self._reader = Reader(source, self.features)
        self._held: dict[str, Any] = {}

    @property
    def split_sizes(self) -> Mapping[str, int]:
        """Examples in each split, by the names in `SPLITS`."""
        return {name: len(indices) for name, indices in self.splits.items()}

    @property
    def bad_examples(self) -> Sequence[str]:
        """A line for each example that is left out, which names it."""
        return self.source.left_out

    def summary(self) -> dict[str, Any]:
        """What dataset.json holds: plain JSON values."""
        hashes = self.source.content_hashes()
        training: dict[str, Any] = {}
        if self._weights is not None:
            training["weights"] = sample_weights.describe_weights(
                self._weights, self.splits["train"]
            )
        if self.config.balance == OVERSAMPLE:
            training["examples_in_an_epoch"] = self.order(0).epoch_size
        return {
            "source": self.source.name,
            "features": self.features.to_json(),
            "splits": {
                name: self._split_summary(indices, hashes)
                for name, indices in self.splits.items()
            },
            "duplicates": splitting.count_shared_contents(hashes, self.splits),
            "bad_examples": list(self.source.left_out),
            **training,
            **self.source.notes,
        }

    def order(self, seed: int) -> Order:
        """The order of the training examples."""
        train = self.splits["train"]
        balance = None
        if self.config.balance == OVERSAMPLE:
            flag = f"--balance={self.config.balance}"
            targets = self.source.read_targets(train)
            balance = Balance(
                self.features.target.balance(targets, flag, self.source.name)
            )
        return Order(len(train), self.config.batch_size, seed, balance)

    def training(
        self, order: Order, augmentation: Augmentation = augmentations.NONE
    ) -> Feed:
        """The batches of the training split, in memory or streamed: `--cache`.

        Args:
            order: of as many examples as the training split has.
            augmentation: see `augmentation.parse`.

        Raises:
            UserError: the augmentation does not suit the data; an example that is to
                be held in memory cannot be decoded.
        """
        if order.examples != len(self.splits["train"]):
            raise ValueError(
                f"{order} is not over {len(self.splits['train'])} examples"
            )
        compatibility.check_augmentation(
            augmentation, self.config, self.source, originals=self._crops_originals
        )
        own_augmentation.check(augmentation.own, self.features.input.complete_shape)
        cropping: Cropping | None = None
        held = None
        if augmentation.crop and self._crops_originals:
            cropping = self.features.input.cropping(augmentation, order.seed)
            # Mirrored by then, unless that is part of shifting.
            flip = augmentation.flip if augmentation.translate else 0
            augmentation = dataclasses.replace(augmentation, crop=0.0, flip=flip)
        else:
            held = self._hold("train")
        return Feed(
            self._reader,
            self.splits["train"],
            order,
            augmentation,
            held,
            cropping,
            self._weights,
        )

    @tf.autograph.experimental.do_not_convert  # it has nothing to convert, slowly
    def evaluation(self, split: str, batch_size: int) -> tf.data.Dataset:
        """Batches of a split, in its order, each example once and none augmented.

        The last batch is padded to `batch_size` by examples of weight 0.

        Raises:
            UserError: the split is empty, or an example cannot be decoded.
        """
        in_memory = self.held_evaluation(split, batch_size)
        if in_memory is not None:
            numbers = tf.data.Dataset.range(in_memory.count)
            return untuned(numbers.map(in_memory.batch).prefetch(2))
        indices = self._indices_of(split)
        slots = np.arange(-(-len(indices) // batch_size) * batch_size)
        weights = np.where(slots < len(indices), np.float32(1), np.float32(0))
        chosen = np.where(weights > 0, slots, 0)
        padded = tf.data.Dataset.from_tensor_slices(
            tuple(
                part.reshape(-1, batch_size)
                for part in (chosen, indices[chosen], weights)
            )
        )
        weighted = padded.map(lambda chosen, indices, weights: weights)
        chunks = padded.map(lambda chosen, indices, weights: (chosen, indices))
        examples = self._reader.stream(chunks, batch_size).map(
            lambda chosen, inputs, labels, indices: (inputs, labels)
        )
        batches = tf.data.Dataset.zip(examples, weighted).map(_evaluated)
        return untuned(batches.prefetch(2))

    def held_evaluation(self, split: str, batch_size: int) -> HeldBatches | None:
        """The batches of `evaluation` where the split may be held in memory, else None.

        Raises:
            UserError: the split is empty, or an example cannot be decoded.
        """
        indices = self._indices_of(split)
        held = self._hold(split)
        if held is None:
            return None
        inputs, labels = held
        return HeldBatches(inputs, labels, len(indices), batch_size)

    def examples(self, split: str, positions: Sequence[int] | np.ndarray) -> Examples:
        """Examples of a split by position in it, as `evaluation` numbers them."""
        indices = self._indices_of(split)[np.asarray(positions, np.int64)]
        inputs, labels = self._reader.read(indices)
        names = [self.source.describe(int(index)) for index in indices]
        return Examples(inputs, labels, names)

    def names(self, split: str) -> list[str]:
        """What names each example of a split to a user, in the split's order."""
        return [self.source.describe(int(i)) for i in self._indices_of(split)]

    def find_bad_example(self, split: str) -> str | None:
        """Names the first example of a split that cannot be decoded, and why."""
        return self._reader.find_bad_example(self.splits[split])

    def _indices_of(self, split: str) -> np.ndarray:
        if split not in self.splits:
            known = ", ".join(self.splits)
            raise UserError(f"split {split!r}: expected one of {known}.")
        if len(self.splits[split]) == 0:
            raise UserError(
                f"{self.source.name} has no {split} examples: --split="
                f"{self.config.split}; choose another split, or train with one that "
                f"leaves {split} examples."
            )
        return self.splits[split]

    def _hold(self, split: str) -> Any:
        """Inputs and labels of a split if they may be held in memory, else None."""
        size = self._reader.example_bytes * len(self.splits[split])
        cache = self.config.cache
        if cache == "none" or (cache == "auto" and not fits_in_memory(size)):
            return None
        if split not in self._held:
            self._held[split] = self._reader.read(self.splits[split])
        return self._held[split]

    @property
    def _crops_originals(self) -> bool:
        """Whether crops are cut from images before they are resized."""
        return self.features.input.crops_originals(
            self.source.features.input, self.source.encoded
        )

    def describe_split(self, split: str) -> dict[str, Any]:
        """Size, fingerprint and classes of a split: plain JSON values."""
        return self._split_summary(self.splits[split], self.source.content_hashes())

    def count_known(self, other: "Dataset", split: str) -> int:
        """Examples in a split of `other` whose contents are in the training split."""
        return splitting.count_common(
            other.source.content_hashes()[other.splits[split]],
            self.source.content_hashes()[self.splits["train"]],
        )

    def _split_summary(self, indices: np.ndarray, hashes: np.ndarray) -> dict[str, Any]:
        targets = self.source.read_targets(indices)
        facts = [hashes[indices], *map(_as_bytes, tf.nest.flatten(targets))]
        if self.source.weights is not None:
            facts.append(_as_bytes(self.source.weights[indices]))
        rows = np.concatenate(facts, axis=1)
        ordered = rows[np.lexsort(rows.T[::-1])] if len(rows) else rows
        return {
            "examples": len(indices),
            "sha256": hashlib.sha256(ordered.tobytes()).hexdigest(),
            **self.features.target.summary(targets),
        }


def _as_bytes(values: np.ndarray) -> np.ndarray:
    """The bytes of each row: uint8 [n, …], also of no rows."""
    width = values.dtype.itemsize * int(np.prod(values.shape[1:]))
    return np.frombuffer(values.tobytes(), np.uint8).reshape(len(values), width)


def _evaluated(read: tuple[Any, Any], weights: tf.Tensor) -> Batch:
    inputs, labels = tf.nest.map_structure(
        lambda part: tf.ensure_shape(part, [weights.shape[0], *part.shape[1:]]), read
    )
    return Batch(inputs, labels, weights).as_floats()
