"""An example: what a model gets of it, and what is to be learnt of it."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from base.errors import UserError
from pipelines.features import registry
from pipelines.features.boolean import Boolean
from pipelines.features.category import Category
from pipelines.features.class_label import ClassLabel
from pipelines.features.image import Image
from pipelines.features.inputs import InputFeature
from pipelines.features.number import Number
from pipelines.features.table import Table, TableColumn
from pipelines.features.targets import TargetFeature
from pipelines.features.values import Values
from pipelines.features.vector import Vector

if TYPE_CHECKING:
    import numpy as np

    from pipelines.augmentation import Augmentation, Draws


@dataclasses.dataclass(frozen=True)
class ExampleSpec:
    """What a source, or a dataset made of it, gives.

    Attributes:
        input: what a model gets.
        target: what is to be learnt.
    """

    input: InputFeature
    target: TargetFeature

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON values, which `from_json` turns back."""
        return {"input": self.input.to_json(), "target": self.target.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ExampleSpec":
        """What `to_json` wrote, now or in the flat layout of earlier versions.

        Raises:
            UserError: a feature is of no kind that is known here.
        """
        if "input" not in values:
            return cls(_flat_input(values), _flat_target(values))
        return cls(
            registry.input_from_json(values["input"]),
            registry.target_from_json(values["target"]),
        )

    def augmented(
        self, augmentation: "Augmentation", inputs: Any, labels: Any, draws: "Draws"
    ) -> tuple[Any, Any]:
        """A batch with random changes, which depend on `draws` alone: graph code.

        Args:
            augmentation: what to do.
            inputs: a batch of the input, of a static shape.
            labels: a batch of the target.
            draws: what the changes are keyed by.
        """
        from pipelines import color, own_augmentation

        inputs = self.input.moved(augmentation, inputs, draws)
        labels = self.target.moved(augmentation, labels, draws)
        inputs = self.input.colored(augmentation, inputs, draws)
        if augmentation.mixup:
            inputs, labels = color.mix(
                (self.input.mixed(inputs), self.target.mixed(labels)),
                augmentation.mixup,
                draws.positions,
                draws.seed,
            )
        if augmentation.own:
            inputs = own_augmentation.apply(
                augmentation.own, inputs, draws.positions, draws.seed
            )
        return inputs, labels

    def take_over(
        self, found: "ExampleSpec", values: "np.ndarray", name: str, encoded: bool
    ) -> "np.ndarray":
        """Targets of other data, numbered as here.

        Args:
            found: what the other data has.
            values: its targets.
            name: of its source.
            encoded: whether its examples are decoded yet to be.

        Raises:
            UserError: it has other classes, or examples of another kind.
        """
        alike = isinstance(found.input, type(self.input))
        if not alike or not self.target.accepts(found.target):
            raise UserError(
                f"{name} holds {found.input.kind} examples for {found.target.task}; "
                f"expected {self.input.kind} examples for {self.target.task}, as the "
                "run was trained on."
            )
        self.input.take_over(found.input, name, encoded)
        return self.target.take_over(found.target, values, name)


def _flat_input(values: Mapping[str, Any]) -> InputFeature:
    shape = tuple(values["shape"])
    match values["kind"]:
        case "image":
            return Image(shape)
        case "vector":
            return Vector(shape)
        case "table":
            return Table(tuple(map(_flat_column, values["columns"])))
    raise UserError(f"features of the kind {values['kind']!r} are not known here.")


def _flat_target(values: Mapping[str, Any]) -> TargetFeature:
    match values["task"]:
        case "classification":
            return ClassLabel(tuple(values["classes"]))
        case "regression":
            return Values(values["targets"])
    raise UserError(f"features for the task {values['task']!r} are not known here.")


def _flat_column(values: Mapping[str, Any]) -> TableColumn:
    match values["kind"]:
        case "numeric":
            return TableColumn(values["name"], Number(values["integer"]))
        case "boolean":
            return TableColumn(values["name"], Boolean())
        case "categorical":
            return TableColumn(values["name"], Category())
    raise UserError(f"columns of the kind {values['kind']!r} are not known here.")
