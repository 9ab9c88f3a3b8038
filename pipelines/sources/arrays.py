"""A source whose examples are one array in memory."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from base.errors import UserError
from pipelines.features import ExampleSpec
from pipelines.sources.base import TargetsInMemory


class ArraySource(TargetsInMemory):
    """Examples held in memory: images uint8 [n,H,W,C] or vectors float32 [n,F]."""

    native = True
    batched = True

    def __init__(
        self,
        name: str,
        features: ExampleSpec,
        examples: np.ndarray,
        targets: np.ndarray,
        given_splits: Mapping[str, np.ndarray] | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes the arrays as they are, and as the features store them."""
        if len(examples) != len(targets):
            raise UserError(
                f"{name}: {len(examples)} examples but {len(targets)} targets; "
                "expected as many of one as of the other."
            )
        self.name = name
        self.features = features
        self.hold_targets(targets)
        self.given_splits = given_splits or {}
        self.notes = notes or {}
        self._examples = examples
        # A tensor, which every graph captures by reference: none embeds a copy.
        self._tensor = tf.constant(examples)

    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each example's bytes: uint8 [n, 32]."""
        digests = b"".join(
            hashlib.sha256(example.tobytes()).digest() for example in self._examples
        )
        return np.frombuffer(digests, np.uint8).reshape(-1, 32)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The examples at `indices`: [k, …]."""
        return self._examples[indices]

    def lookup(self, indices: tf.Tensor) -> tf.Tensor:
        """The examples at `indices`, [k] or []: the same shape before an example's."""
        return tf.gather(self._tensor, indices)

    def describe(self, index: int) -> str:
        """The source's name and the row."""
        return f"{self.name}, example {index}"
