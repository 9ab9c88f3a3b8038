"""What every feature of an example answers, so that nobody asks which kind it is.

A feature is named in files by its `kind`. Read on in `inputs` and `targets`; `registry`
lists all features.
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    import tensorflow as tf

    from pipelines.augmentation import Augmentation, Draws


class Feature(abc.ABC):
    """One named, typed part of an example: a frozen dataclass.

    `values` are many examples' as a source stores them; `prepare` makes of them what a
    batch holds. Either is an array, or a nest of arrays, [k, …].

    Attributes:
        kind: its name in files.
        field: its name in a packed record.
    """

    kind: ClassVar[str]
    field: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON values, which `from_json` turns back."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # all are
        values = {field.name: getattr(self, field.name) for field in fields}
        return {"kind": self.kind} | {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The feature that `to_json` wrote."""
        return cls(
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in values.items()
                if name != "kind"
            }
        )

    @abc.abstractmethod
    def batch_spec(self) -> Any:
        """What a batch holds of it: a nest of tf.TensorSpec, [None, …]."""

    def prepare(self, values: Any) -> Any:
        """What a batch holds, of stored values that are not encoded: graph code."""
        return values

    def moved(self, augmentation: "Augmentation", values: Any, draws: "Draws") -> Any:
        """A batch after what comes from elsewhere in an image: flip, shift, rotate.

        The default is for what has no place in the image, and stays as it is.
        """
        del augmentation, draws
        return values

    def colored(self, augmentation: "Augmentation", values: Any, draws: "Draws") -> Any:
        """A batch after what changes an image's values where they are."""
        del augmentation, draws
        return values

    @abc.abstractmethod
    def mixed(self, values: Any) -> Any:
        """A batch in numbers of which shares can be added, float32, as mixup does."""

    @abc.abstractmethod
    def serialize(self, value: Any) -> "tf.train.Feature":
        """One example's stored value, for a packed record."""

    @abc.abstractmethod
    def parse(self, stored: "tf.train.Feature") -> Any:
        """The value that `serialize` stored.

        Raises:
            ValueError: it is of another size.
        """
