"""What the features of a table's columns answer, beyond what all do.

A row is two vectors: `numbers` float32, in which a missing value is NaN, and `texts`,
in which it is the empty text. Which of them a column goes into is its `group`.
"""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Self

from base.errors import UserError
from pipelines.features.base import Feature

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import tensorflow as tf


class ColumnFeature(Feature):
    """A value of a row, without its name.

    Attributes:
        group: `numbers` or `texts`.
        encoding: how a model encodes it: numeric, boolean or categorical.
    """

    group: ClassVar[str]
    encoding: ClassVar[str]

    @classmethod
    @abc.abstractmethod
    def of_arrow(cls, kind: "pa.DataType") -> Self | None:
        """The feature of a column of an Arrow type, or None if it is no such."""

    @abc.abstractmethod
    def arrow_type(self) -> "pa.DataType":
        """The type that values are cast to."""

    @property
    def csv_type(self) -> "pa.DataType | None":
        """The type that a CSV's column is read as, or None to have it guessed."""
        return self.arrow_type()

    @abc.abstractmethod
    def of_cast(self, values: "pa.ChunkedArray") -> "np.ndarray":
        """Values of `arrow_type` as a row has them: float32 [n], or texts [n]."""

    @abc.abstractmethod
    def learn(self, values: "np.ndarray") -> dict[str, Any]:
        """What a model needs to know of the training split: plain JSON values."""

    def check_training(self, values: "np.ndarray", where: str) -> None:
        """Checks that a model can learn from the training split's values.

        Args:
            values: of the training split, [n].
            where: names the table and the column.

        Raises:
            UserError: it cannot.
        """

    def batch_spec(self) -> "tf.TensorSpec":
        """A column of the group: [None]."""
        import tensorflow as tf

        dtypes = {"numbers": tf.float32, "texts": tf.string}
        return tf.TensorSpec([None], dtypes[self.group])

    def mixed(self, values: Any) -> Any:
        """Raises UserError: rows are not mixed."""
        raise UserError("--augment=mixup: rows of tables are not mixed; leave it out.")

    def serialize(self, value: Any) -> Any:
        """Raises UserError: a table is not packed."""
        raise UserError("a table's rows are not packed; it is read as it is.")

    def parse(self, stored: Any) -> Any:
        """Raises UserError: a table is not packed."""
        raise UserError("a table's rows are not packed; it is read as it is.")
