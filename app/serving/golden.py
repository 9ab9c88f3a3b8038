"""Golden inputs with the training graph's answers: what every runtime has to repeat.

Kept beside the model in `golden/`: the raw inputs as files, the rest in `golden.npz`.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from app.serving import columns, edge_case_rows, edge_cases
from app.serving.signatures import DEFAULT, Contract, answers_of
from pipelines import preprocessing
from pipelines.dataset import Dataset

FOLDER = "golden"
ARRAYS = "golden.npz"
_ORDINARY = 12
# Vectors of a feature's standard deviations.
_AWKWARD_VECTORS = {"zeros": 0.0, "ones": 1.0, "far-above": 1e3, "far-below": -1e3}


@dataclasses.dataclass(frozen=True)
class Golden:
    """Inputs and the answers of the graph that trained.

    Attributes:
      names: n file names, by which a difference is reported.
      contents: n encoded images or serialized tf.train.Examples; empty for vectors.
      inputs: by signature, then by name, [n, …]: all inputs but the `contents`.
      answers: by name, as `signatures.answers_of` gives them, without labels.
    """

    names: tuple[str, ...]
    contents: tuple[bytes, ...]
    inputs: dict[str, dict[str, np.ndarray]]
    answers: dict[str, np.ndarray]


def make(dataset: Dataset, model: keras.Model, contract: Contract) -> Golden:
    """Golden inputs from the validation split, and awkward ones.

    Args:
      dataset: that the model was trained on.
      model: as it trained, not as it is exported.
      contract: of the export.
    """
    contents: tuple[bytes, ...] = ()
    inputs: dict[str, dict[str, np.ndarray]] = {}
    if contract.features.kind == "image":
        pictures = _ordinary_images(dataset) | _awkward_images(dataset, contract)
        names, contents = tuple(pictures), tuple(pictures.values())
        raw = contract.named(_decoded(contents, contract))
    elif contract.features.kind == "vector":
        vectors = _vectors(dataset)
        names = tuple(vectors)
        raw = contract.named(np.stack(list(vectors.values())))
    else:
        found = dataset.examples("validation", _first(dataset)).inputs
        rows, raw = edge_case_rows.rows(contract.columns, contract.named(found))
        names = tuple(f"{row}.tfexample" for row in rows)
        contents = tuple(columns.examples_of(contract.columns, raw))
        inputs[DEFAULT] = columns.inputs_of(contract.columns, raw)
    inputs[contract.raw_signature] = raw
    return Golden(names, contents, inputs, training_answers(model, raw, contract))


def training_answers(
    model: keras.Model, raw: Mapping[str, np.ndarray], contract: Contract
) -> dict[str, np.ndarray]:
    """What a Keras model answers, in the same words as an export.

    Args:
      model: as it trained, or loaded from a file.
      raw: the raw signature's inputs by name.
      contract: of the export.
    """
    forward = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    # By no function of the export, which the gate is to judge.
    if contract.features.kind == "table":
        inputs = {name: tf.constant(values) for name, values in raw.items()}
    else:
        (examples,) = raw.values()
        inputs = tf.constant(examples, tf.float32)
    answers = answers_of(forward(inputs), contract)
    return {name: answer.numpy() for name, answer in answers.items()}


def write(golden: Golden, folder: pathlib.Path) -> None:
    """Writes the inputs and the answers into a new folder."""
    folder.mkdir()
    for name, contents in zip(golden.names, golden.contents, strict=False):
        (folder / name).write_bytes(contents)
    answers = {f"answer_{name}": value for name, value in golden.answers.items()}
    inputs = {
        f"inputs/{signature}/{name}": values
        for signature, given in golden.inputs.items()
        for name, values in given.items()
    }
    np.savez_compressed(
        folder / ARRAYS,
        allow_pickle=False,
        names=np.array(golden.names, np.str_),
        **answers,
        **inputs,
    )


def _ordinary_images(dataset: Dataset) -> dict[str, bytes]:
    """The first validation examples, as files."""
    indices = dataset.splits["validation"][:_ORDINARY]
    found = dataset.source.read(indices)
    if dataset.source.encoded:
        encoded = list(found)
    else:
        encoded = [tf.io.encode_png(pixels).numpy() for pixels in found]
    return {
        f"validation-{i:02}{_suffix(contents)}": contents
        for i, contents in enumerate(encoded)
    }


def _awkward_images(dataset: Dataset, contract: Contract) -> dict[str, bytes]:
    pixels = dataset.examples("validation", [0]).inputs[0]
    return edge_cases.pictures(pixels, contract.max_pixels)


def _decoded(contents: tuple[bytes, ...], contract: Contract) -> np.ndarray:
    """Decoded one by one by the evaluation's own preprocessing: uint8 [n, H, W, C]."""
    height, width, channels = contract.example_shape
    decode = tf.function(
        lambda one: preprocessing.prepare_image(one, (height, width, channels)),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    return np.stack([decode(one).numpy() for one in contents])


def _vectors(dataset: Dataset) -> dict[str, np.ndarray]:
    examples = dataset.examples("validation", _first(dataset)).inputs
    found = {f"validation-{i:02}": vector for i, vector in enumerate(examples)}
    spread = np.maximum(examples.std(0), 1e-3)
    for name, deviations in _AWKWARD_VECTORS.items():
        found[name] = (deviations * spread).astype(np.float32)
    return found


def _first(dataset: Dataset) -> range:
    """Positions of the validation examples that are golden."""
    return range(min(_ORDINARY, dataset.split_sizes["validation"]))


def _suffix(contents: bytes) -> str:
    suffixes = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"GI": ".gif", b"BM": ".bmp"}
    return suffixes.get(contents[:2], "")
