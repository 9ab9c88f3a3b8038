"""What a model is built for: the inputs it receives and the outputs it owes."""

import dataclasses

from base.errors import UserError, unknown

# What a first layer is made for; see `models.inputs`.
_RANKS = {"image": 3, "vector": 1, "table": 1}
_COLUMN_KINDS = ("numeric", "boolean", "categorical")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table, with what its preprocessing needs.

    Attributes:
        name: The column's name in the table.
        kind: What its values are: numeric, boolean or categorical.
        mean: Mean over the training split (numeric columns).
        std: Standard deviation over the training split (numeric columns).
        vocabulary: The values seen in the training split (categorical columns).
        missing: Whether a value was missing in the training split.
    """

    name: str
    kind: str
    mean: float = 0.0
    std: float = 1.0
    vocabulary: tuple[str, ...] = ()
    missing: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _COLUMN_KINDS:
            raise unknown("kind of column", self.kind, _COLUMN_KINDS)

    @property
    def is_text(self) -> bool:
        """Whether its values are texts, one of `vocabulary`; else they are numbers."""
        return self.kind == "categorical"

    @property
    def is_boolean(self) -> bool:
        """Whether its values are 0 and 1."""
        return self.kind == "boolean"


@dataclasses.dataclass(frozen=True)
class Patches:
    """What the patches of the training images are like, for `layers.whitening`.

    Attributes:
        size: Side of a patch, in pixels.
        mean: Of the d = size * size * C raw values of a patch, in the order (row,
            column, channel).
        covariance: Of the same, by row.
    """

    size: int
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        shape = {len(self.mean), len(self.covariance), *map(len, self.covariance)}
        if len(shape) != 1 or len(self.mean) % self.size**2:
            raise UserError(
                f"patches of {self.size}x{self.size} pixels with {len(self.mean)} "
                f"means and a covariance of {len(self.covariance)} rows: expected one "
                "of each for every value of a patch"
            )


@dataclasses.dataclass(frozen=True)
class Inputs:
    """A batch of raw inputs, as the model receives them: float32 [B, *shape].

    Attributes:
        kind: "image": [B, H, W, C] with pixel values in 0..255, rescaled inside the
            model; "vector": [B, F]; "table": rows of `columns`, a dict of `numbers`,
            the numeric and boolean columns, float32 [B, N] (a missing value is NaN),
            and `texts`, the categorical ones, string [B, T] (missing is empty).
        shape: The shape of one example.
        columns: The columns, for tables.
        mean: For vectors, the mean of each feature over the training split; () leaves
            the features as they come.
        std: For vectors, the standard deviation of each feature, with `mean`.
        patches: For images, what a first layer that whitens patches goes by; None is
            no such layer.
    """

    kind: str
    shape: tuple[int, ...]
    columns: tuple[Column, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    patches: Patches | None = None

    def __post_init__(self) -> None:
        if self.kind not in _RANKS:
            raise unknown("kind of input for a model", self.kind, _RANKS)
        rank = _RANKS[self.kind]
        if len(self.shape) != rank:
            raise UserError(
                f"{self.kind} inputs of shape {self.shape}: expected {rank} dimensions"
            )
        if self.kind == "table" and self.shape != (len(self.columns),):
            raise UserError(
                f"table inputs of shape {self.shape} with {len(self.columns)} columns: "
                "expected as many of one as of the other"
            )
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, self.shape[-1]):
            raise UserError(
                f"inputs of shape {self.shape} with {len(self.mean)} means and "
                f"{len(self.std)} standard deviations: expected one of each a feature"
            )


@dataclasses.dataclass(frozen=True)
class Outputs:
    """A batch of a model's outputs: float32 [B, size].

    Attributes:
        task: The task's name: "classification" has logits, "regression" values in the
            targets' own units; see `models.tasks`.
        size: Number of classes, or of regression targets.
        mean: For regression, each target's mean over the training split; () is 0.
        std: For regression, each target's standard deviation, with `mean`; () is 1.
        names: Of the classes, labels or targets, by index; () where nobody asks.
        thresholds: For several labels, the probability from which on each is
            predicted; () is one half.
    """

    task: str
    size: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, self.size):
            raise UserError(
                f"{self.size} outputs with {len(self.mean)} means and {len(self.std)} "
                "standard deviations: expected one of each an output"
            )
