"""The rows of the table: small data of every kind, and parts of a user's own.

Each case says its flags, and why a promise does not apply to it, where one does not.
"""

import csv
import dataclasses
import pathlib

import cv2
import numpy as np

EXAMPLES = 120
BATCH = 16

# What a user writes beside the data: a file called as one of Atelier's rooms.
OWN = '''
import hashlib

import keras
import numpy as np
import tensorflow as tf
from models.tasks.classification import Classification
from pipelines.features import ClassLabel, ExampleSpec, Vector
from pipelines.sources.base import TargetsInMemory


def net(inputs, outputs, width=8, dropout=0.2):
    x = images = keras.Input(inputs.shape, name="features")
    x = keras.layers.Dense(width, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(images, keras.layers.Dense(outputs.size)(x))


def focal(labels, outputs):
    """Of int64 [B] classes and float32 [B, classes] logits: float32 [B]."""
    chance = tf.gather(tf.nn.softmax(outputs), labels, batch_dims=1)
    return -((1 - chance) ** 2) * tf.math.log(chance + 1e-7)


def sure(labels, outputs):
    """How sure of itself the network is: [B]."""
    return tf.reduce_max(tf.nn.softmax(outputs), axis=-1)


sure.direction = "max"


class Careful(Classification):
    """Classes, of which a wrong sure answer costs more."""

    name = "careful"
    losses = {"focal": lambda outputs: focal}


class Blobs(TargetsInMemory):
    """Vectors, looked up by Python."""

    features = ExampleSpec(Vector((5,)), ClassLabel(("a", "b", "c")))

    def __init__(self):
        with np.load("classes.npz") as arrays:
            self.rows = arrays["x_train"]
            self.hold_targets(arrays["y_train"])

    def content_hashes(self):
        digests = [hashlib.sha256(row.tobytes()).digest() for row in self.rows]
        return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)

    def read(self, indices):
        return self.rows[indices]

    def lookup(self, indices):
        rows = tf.numpy_function(self.read, [indices], tf.float32, stateful=False)
        return tf.ensure_shape(rows, [*indices.shape, 5])

    def describe(self, index):
        return f"row {index} of classes.npz"


def speckle(images, keys):
    """Noise of each image's own: float32 [B,H,W,C]."""
    noise = tf.map_fn(
        lambda key: tf.random.stateless_uniform(images.shape[1:], key, -20.0, 20.0),
        keys,
        fn_output_signature=tf.float32,
    )
    return tf.clip_by_value(images + noise, 0, 255)
'''


@dataclasses.dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes:
        flags: of `train`, beside those of every case.
        reasons: why a promise does not apply, by its name.
        alike: further flags with which replicas compute what one device does: without
            draws of their own (dropout), with statistics of the whole batch.
    """

    flags: tuple[str, ...]
    reasons: dict[str, str]
    alike: tuple[str, ...]


def _case(text: str, alike: str = "", **reasons: str) -> Case:
    """A case by its flags, without their dashes, with blanks between."""
    flags, more = (
        tuple(f"--{flag}" for flag in part.split()) for part in (text, alike)
    )
    return Case(flags, reasons, more)


_WHOLE = "sync_batch_norm"
_STILL = "model_args=width=8,depth=1,dropout=0"
_IMAGES = "model=cnn model_args=width=4,depth=1"
_VECTORS = "model=mlp model_args=width=8,depth=1,dropout=0.2"
# Parameter servers take 20 s a row: one stands for those that it is equal to there.
_ALIKE = "steps and sums are those of {}, whose examples reach a worker alike"
CASES = {
    "image_in_files": _case(
        f"dataset=pictures {_IMAGES} augment=flip,translate=1 cache=none",
        _WHOLE,
    ),
    "image_in_arrays": _case(
        f"dataset=images.npz {_IMAGES} augment=flip,mixup=0.2",
        _WHOLE,
        ledger=_ALIKE.format("image_in_files"),
    ),
    "vector_classification": _case(
        f"dataset=classes.npz {_VECTORS}",
        _STILL,
        ledger="tests/app/distribution/parameter_server_test trains such",
    ),
    "vector_regression": _case(f"dataset=values.npz {_VECTORS}", _STILL),
    "vector_multilabel": _case(f"dataset=sets.npz {_VECTORS}", _STILL),
    "table_classification": _case(f"dataset=table.csv target=kind {_VECTORS}", _STILL),
    "table_regression": _case(
        f"dataset=table.csv target=price {_VECTORS}",
        _STILL,
        ledger=_ALIKE.format("table_classification and vector_regression"),
    ),
    "table_multilabel": _case(
        f"dataset=table.csv target=tags {_VECTORS}",
        _STILL,
        ledger=_ALIKE.format("table_classification and vector_multilabel"),
    ),
    "own_model": _case("dataset=classes.npz model=models:net", "model_args=dropout=0"),
    "own_loss_and_metric": _case(
        f"dataset=classes.npz {_VECTORS} loss=models:focal metrics=models:sure",
        _STILL,
    ),
    "own_task": _case(f"dataset=classes.npz {_VECTORS} task=models:Careful", _STILL),
    "own_source": _case(
        f"dataset=models:Blobs {_VECTORS} cache=none",
        _STILL,
        ledger="what Python reads is refused by name, see tests/app/runs/own_data_test",
    ),
    "own_augmentation": _case(
        "dataset=images.npz model=mlp model_args=width=8,depth=1"
        " augment=models:speckle,flip",
        ledger=_ALIKE.format("image_in_files"),
    ),
}


def write(folder: pathlib.Path) -> None:
    """Writes every case's data, and the user's file, into `folder`."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, EXAMPLES)
    vectors = (rng.normal(size=(EXAMPLES, 5)) + kinds[:, None]).astype(np.float32)
    values = vectors @ rng.normal(size=(5, 2)).astype(np.float32) + 10
    sets = (rng.random((EXAMPLES, 3)) < [0.5, 0.4, 0.3]).astype(np.uint8)
    np.savez(folder / "classes.npz", x_train=vectors, y_train=kinds)
    np.savez(folder / "values.npz", x_train=vectors, y_train=values)
    np.savez(folder / "sets.npz", x_train=vectors, y_train=sets)
    images = rng.integers(0, 256, (EXAMPLES, 8, 8, 3), np.uint8)
    images[np.arange(EXAMPLES), kinds] = 255
    np.savez(folder / "images.npz", x_train=images, y_train=kinds)
    for number, (image, kind) in enumerate(zip(images, kinds, strict=True)):
        place = folder / "pictures" / f"kind{kind}"
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{number:03}.png"), image)
    _write_table(folder / "table.csv", rng, kinds, vectors, sets)
    (folder / "models.py").write_text(OWN)


def _write_table(
    path: pathlib.Path,
    rng: np.random.Generator,
    kinds: np.ndarray,
    vectors: np.ndarray,
    sets: np.ndarray,
) -> None:
    """A number, a category, a boolean and a date, some missing; and three targets."""
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["size", "color", "new", "made", "kind", "price", "tags"])
        for row in range(EXAMPLES):
            tags = ";".join(
                name
                for name, mark in zip(("a", "b", "c"), sets[row], strict=True)
                if mark
            )
            rows.writerow(
                [
                    "" if row % 17 == 0 else round(float(vectors[row, 0]), 3),
                    rng.choice(["red", "green", "blue"]),
                    rng.choice(["true", "false"]),
                    f"2024-01-{row % 28 + 1:02}",
                    f"kind{kinds[row]}",
                    round(float(vectors[row].sum()), 3),
                    tags,
                ]
            )
