"""Golden inputs with what the task makes of the training graph's outputs.

Every runtime has to repeat it. Kept beside the model in `golden/`: the encoded inputs
as files, the rest in `golden.npz`.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from app.serving.signatures import Contract
from pipelines.dataset import Dataset

FOLDER = "golden"
ARRAYS = "golden.npz"


@dataclasses.dataclass(frozen=True)
class Golden:
    """Inputs and the answers expected of them.

    Attributes:
      names: n file names, by which a difference is reported.
      contents: n files for the `encoded` signature; empty where there is none.
      inputs: by signature, then by name, [n, …]: all inputs but the `contents`.
      answers: by name, as the task has them, without names.
    """

    names: tuple[str, ...]
    contents: tuple[bytes, ...]
    inputs: dict[str, dict[str, np.ndarray]]
    answers: dict[str, np.ndarray]


def make(dataset: Dataset, model: keras.Model, contract: Contract) -> Golden:
    """Golden inputs from the validation split, and edge cases.

    Args:
      dataset: that the model was trained on.
      model: as it trained, not as it is exported.
      contract: of the export.
    """
    names, contents, inputs = contract.input.golden(dataset)
    raw = inputs[contract.input.raw_signature]
    return Golden(names, contents, inputs, training_answers(model, raw, contract))


def training_answers(
    model: keras.Model, raw: Mapping[str, np.ndarray], contract: Contract
) -> dict[str, np.ndarray]:
    """What a Keras model's outputs mean by the task's definition, in NumPy.

    No function of the export has a part in it, which the gate is to judge.

    Args:
      model: as it trained, or loaded from a file.
      raw: the raw signature's inputs by name.
      contract: of the export.
    """
    forward = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    outputs = forward(contract.input.as_trained(raw)).numpy()
    return contract.task.expected_answers(outputs, contract.temperature)


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
