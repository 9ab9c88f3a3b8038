"""The tasks by name: where each is, its losses and its targets. No TensorFlow here."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Entry:
    """A task of the registry.

    Attributes:
        place: `module:class`, imported when a task is needed.
        losses: Names of its losses, the first of which is `auto`.
        targets: Names of the target features that it learns; see `Task.targets`.
    """

    place: str
    losses: tuple[str, ...]
    targets: tuple[str, ...]


TASKS = {
    "classification": Entry(
        "models.tasks.classification:Classification",
        ("cross_entropy",),
        ("class_label",),
    ),
    "multilabel": Entry(
        "models.tasks.multilabel:MultiLabel",
        ("binary_cross_entropy", "binary_focal"),
        ("label_set",),
    ),
    "regression": Entry(
        "models.tasks.regression:Regression", ("mse", "mae", "huber"), ("values",)
    ),
}


def loss_names() -> tuple[str, ...]:
    """The names of all losses, each once."""
    return tuple(dict.fromkeys(n for entry in TASKS.values() for n in entry.losses))
