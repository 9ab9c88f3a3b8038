"""All features by name: a new one is its file, and a line here."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from base.errors import unknown
from pipelines.features.base import Feature
from pipelines.features.class_label import ClassLabel
from pipelines.features.image import Image
from pipelines.features.inputs import InputFeature
from pipelines.features.label_set import LabelSet
from pipelines.features.table import Table
from pipelines.features.targets import Recognized, TargetFeature
from pipelines.features.values import Values
from pipelines.features.vector import Vector

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Each in the order in which data is tried: the first that recognizes it has it.
INPUTS: tuple[type[InputFeature], ...] = (Image, Vector, Table)
TARGETS: tuple[type[TargetFeature], ...] = (LabelSet, ClassLabel, Values)
_Kind = TypeVar("_Kind", bound=Feature)


def input_from_json(values: Mapping[str, Any]) -> InputFeature:
    """The input that `to_json` wrote."""
    return _by_kind(INPUTS, "kind of input", values)


def target_from_json(values: Mapping[str, Any]) -> TargetFeature:
    """The target that `to_json` wrote."""
    return _by_kind(TARGETS, "kind of target", values)


def input_of_array(shape: Sequence[int], dtype: "np.dtype") -> InputFeature | None:
    """What the rows of an array hold, by their shape and type, or None."""
    found = (feature.of_array(shape, dtype) for feature in INPUTS)
    return next((one for one in found if one is not None), None)


def target_of_arrays(
    name: str, parts: "Mapping[str, np.ndarray]", names: "np.ndarray | None"
) -> Recognized | None:
    """What the targets of a file are, or None; see `TargetFeature.of_arrays`."""
    found = (feature.of_arrays(name, parts, names) for feature in TARGETS)
    return next((one for one in found if one is not None), None)


def target_of_tfds(
    name: str, feature: Any, values: "Sequence[np.ndarray]"
) -> Recognized | None:
    """What TFDS says the targets are, or None; see `TargetFeature.of_tfds`."""
    found = (one.of_tfds(name, feature, values) for one in TARGETS)
    return next((one for one in found if one is not None), None)


def target_of_column(column: "pa.ChunkedArray") -> type[TargetFeature] | None:
    """What a table's column of targets holds, if the user does not say, or None."""
    return next((one for one in TARGETS if one.recognizes_column(column)), None)


def _by_kind(
    features: Sequence[type[_Kind]], word: str, values: Mapping[str, Any]
) -> _Kind:
    kinds = {feature.kind: feature for feature in features}
    if values["kind"] not in kinds:
        raise unknown(word, values["kind"], kinds)
    return kinds[values["kind"]].from_json(values)
