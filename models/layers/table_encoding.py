"""From rows of a table to numbers: what a table's model begins with."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from models.spec import Column


@keras.saving.register_keras_serializable(package="atelier")
class TableEncoding(keras.layers.Layer):
    """Standardizes numeric columns and one-hot encodes categorical ones.

    What was learnt from the training split (means, deviations, vocabularies) is part
    of the layer's configuration, so a saved model takes raw rows.

    A numeric column gives one feature, a boolean one -1 or 1; a missing value of either
    is 0. A categorical column gives a feature for each text of its vocabulary; a text
    that is not in it gives zeros. A column in which the training split had missing
    values gives one feature more: 1 where the value is missing.

    Args:
        columns: Columns, or dicts of their fields.
    """

    def __init__(
        self, columns: Sequence[Column | Mapping[str, Any]], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.columns = tuple(
            column if isinstance(column, Column) else _column(column)
            for column in columns
        )
        self.number_columns = [c for c in self.columns if not c.is_text]
        self.text_columns = [c for c in self.columns if c.is_text]
        self._width = sum(
            len(c.vocabulary) if c.is_text else 1 for c in self.columns
        ) + sum(c.missing for c in self.columns)

    def call(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Features float32 [B, width] of `numbers` [B, N] and `texts` [B, T]."""
        features = []
        if self.number_columns:
            features.extend(self._number_features(inputs["numbers"]))
        for position, column in enumerate(self.text_columns):
            texts = inputs["texts"][:, position : position + 1]
            # A comparison with every text: a table of this size needs no hashing, and
            # a saved model no resource that would have to be tracked and initialized.
            known = [*column.vocabulary, *([""] if column.missing else [])]
            if known:
                features.append(tf.cast(texts == tf.constant(known), tf.float32))
        return tf.concat(features, axis=1)

    def compute_output_spec(self, inputs: Mapping[str, Any]) -> keras.KerasTensor:
        """float32 [B, width]."""
        batch = next(iter(inputs.values())).shape[0]
        return keras.KerasTensor((batch, self._width), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments, the columns as dicts."""
        columns = [dataclasses.asdict(column) for column in self.columns]
        return {**super().get_config(), "columns": columns}

    def _number_features(self, numbers: tf.Tensor) -> list[tf.Tensor]:
        columns = self.number_columns
        # A boolean is centred and scaled likewise: 0 and 1 become -1 and 1.
        boolean = [c.is_boolean for c in columns]
        mean = [0.5 if b else c.mean for b, c in zip(boolean, columns, strict=True)]
        std = [0.5 if b else c.std for b, c in zip(boolean, columns, strict=True)]
        missing = tf.math.is_nan(numbers)
        scaled = (numbers - tf.constant(mean)) / tf.constant(std)
        features = [tf.where(missing, tf.zeros_like(numbers), scaled)]
        flagged = [i for i, column in enumerate(columns) if column.missing]
        if flagged:
            flags = tf.gather(missing, tf.constant(flagged), axis=1)
            features.append(tf.cast(flags, tf.float32))
        return features


def _column(fields: Mapping[str, Any]) -> Column:
    return Column(**{**fields, "vocabulary": tuple(fields["vocabulary"])})
