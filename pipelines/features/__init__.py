"""What examples consist of: each kind of feature is one file. Begin with `base`.

Nothing heavy is imported before a feature is asked to do something with arrays.
"""

from pipelines.features.base import Feature
from pipelines.features.boolean import Boolean
from pipelines.features.category import Category
from pipelines.features.class_label import ClassLabel
from pipelines.features.columns import ColumnFeature
from pipelines.features.date import Date
from pipelines.features.example import ExampleSpec
from pipelines.features.image import Image
from pipelines.features.inputs import InputFeature
from pipelines.features.label_set import LabelSet
from pipelines.features.number import Number
from pipelines.features.table import Table, TableColumn
from pipelines.features.targets import Recognized, TargetFeature
from pipelines.features.values import Values
from pipelines.features.vector import Vector

__all__ = [
    "Boolean",
    "Category",
    "ClassLabel",
    "ColumnFeature",
    "Date",
    "ExampleSpec",
    "Feature",
    "Image",
    "InputFeature",
    "LabelSet",
    "Number",
    "Recognized",
    "Table",
    "TableColumn",
    "TargetFeature",
    "Values",
    "Vector",
]
