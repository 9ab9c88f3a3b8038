"""Vectors of features, as the model takes them."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from app.configs.training import PredictionConfig
from app.serving.inputs.base import (
    DEFAULT,
    ArrayInput,
    GoldenInputs,
    ReadBatch,
    Specs,
    first_positions,
)
from base.errors import UserError
from pipelines.dataset import Dataset

# Edge cases, in standard deviations of a feature.
_EDGE_CASES = {"zeros": 0.0, "ones": 1.0, "far-above": 1e3, "far-below": -1e3}


@dataclasses.dataclass(frozen=True)
class VectorInput(ArrayInput):
    """`features` float32 [None, F]."""

    kind = "vector"
    raw_signature = DEFAULT
    litert = "the same."
    example_column = "row"
    read_as = "rows"

    @property
    def raw_inputs(self) -> Specs:
        """`features` float32 [None, F]."""
        shape = [None, *(side or 0 for side in self.features.input.shape)]
        return {"features": tf.TensorSpec(shape, tf.float32, name="features")}

    def golden(self, dataset: Dataset) -> GoldenInputs:
        """The first validation vectors, and such as are zero or far away."""
        examples = dataset.examples("validation", first_positions(dataset)).inputs
        found = {f"validation-{i:02}": vector for i, vector in enumerate(examples)}
        spread = np.maximum(examples.std(0), 1e-3)
        for name, deviations in _EDGE_CASES.items():
            found[name] = (deviations * spread).astype(np.float32)
        raw = self.named(np.stack(list(found.values())))
        return GoldenInputs(tuple(found), (), {self.raw_signature: raw})

    def read(self, config: PredictionConfig, run: str) -> Iterator[ReadBatch]:
        """No file holds vectors.

        Raises:
          UserError: always.
        """
        del config
        raise UserError(
            f"{run} was trained on {self.kind}s: expected a run or an export of one on"
            " images or tables"
        )
