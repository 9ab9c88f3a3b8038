"""The served inputs by the feature's name; a kind without a file is refused by name."""

from app.serving.inputs.base import ServedInput
from app.serving.inputs.columns import ServedColumn
from app.serving.inputs.image import ImageInput
from app.serving.inputs.table import TableInput
from app.serving.inputs.vector import VectorInput
from base.errors import unknown
from pipelines.dataset import Dataset
from pipelines.features import ExampleSpec

INPUTS: dict[str, type[ServedInput]] = {
    served.kind: served for served in (ImageInput, VectorInput, TableInput)
}


def served_input(
    features: ExampleSpec, max_pixels: int, columns: tuple[ServedColumn, ...] = ()
) -> ServedInput:
    """How examples of these features are served.

    Raises:
      UserError: nothing serves their kind.
    """
    return _class_of(features)(features, max_pixels, columns)


def columns_of(dataset: Dataset) -> tuple[ServedColumn, ...]:
    """The columns of a dataset as they are served; () of what has none.

    Raises:
      UserError: nothing serves its kind of examples.
    """
    return _class_of(dataset.features).columns_of(dataset)


def _class_of(features: ExampleSpec) -> type[ServedInput]:
    kind: str = features.input.kind
    if kind not in INPUTS:
        raise unknown("kind of input to serve", kind, INPUTS)
    return INPUTS[kind]
