"""The model for phones: converted to LiteRT, quantized if asked for.

LiteRT has no operations that decode images, so that it takes what the raw signature
does; who calls it decodes and resizes.
"""

import contextlib
import importlib.util
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app.configs.commands import TrainConfig
from app.runs.network import build_network
from app.serving.signatures import Contract, Server
from base.errors import UserError
from pipelines.dataset import Dataset

FILE_NAME = "model.tflite"
_REPRESENTATIVE = 128
# (signature, input by name) of one example each.
Samples = Iterator[tuple[str, dict[str, np.ndarray]]]
_CHUNK = 64


def require_installed() -> None:
    """Finds out before anything is computed that the runtime is missing.

    Raises:
      UserError: ai-edge-litert is not installed.
    """
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise UserError(
            "--format=litert needs the package ai-edge-litert, which checks what is"
            " published: pip install 'atelier[litert]'"
        )


def in_float32(
    model: keras.Model, config: TrainConfig, description: dict[str, Any]
) -> keras.Model:
    """The model itself, or its twin in float32: LiteRT computes no mixed precision."""
    if config.training.precision == "float32":
        return model
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        twin = build_network(config, description).model
    finally:
        keras.config.set_dtype_policy(policy)
    twin.set_weights(model.get_weights())
    return twin


def convert(
    model: keras.Model,
    contract: Contract,
    quantize: str = "none",
    samples: Callable[[], Samples] | None = None,
) -> bytes:
    """A LiteRT model with the raw signature.

    Args:
      model: in float32.
      contract: of the export.
      quantize: `none`, `float16` or `int8`.
      samples: raw inputs that tell the range of activations, for int8.

    Raises:
      UserError: the model has operations that LiteRT has not.
    """
    with tempfile.TemporaryDirectory() as folder:
        Server(model, contract).save_raw(pathlib.Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[contract.input.raw_signature]
        )
        _set_quantization(converter, quantize, samples)
        try:
            with _quiet():
                converted: bytes = converter.convert()
        except Exception as error:  # the converter's own type is private
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"--format=litert: the model cannot be converted ({reason[:200]});"
                " leave litert out"
            ) from error
    return converted


def _set_quantization(
    converter: Any, quantize: str, samples: Callable[[], Samples] | None
) -> None:
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif quantize == "int8":
        converter.representative_dataset = samples


def validation_answers(
    model: bytes, dataset: Dataset, contract: Contract
) -> dict[str, np.ndarray]:
    """What a LiteRT model answers for every validation example, in their order."""
    from ai_edge_litert.interpreter import Interpreter

    call = Interpreter(model_content=model).get_signature_runner(
        contract.input.raw_signature
    )
    total = dataset.split_sizes["validation"]
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, total, _CHUNK):
        positions = range(start, min(start + _CHUNK, total))
        examples = dataset.examples("validation", positions).inputs
        for name, values in call(**contract.input.named(examples)).items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def training_samples(dataset: Dataset, contract: Contract) -> Samples:
    """Training examples one by one, evenly spaced over the split and so the classes."""
    total = dataset.split_sizes["train"]
    positions = np.linspace(0, total - 1, min(_REPRESENTATIVE, total)).astype(np.int64)
    given = contract.input.named(dataset.examples("train", positions).inputs)
    for i in range(len(positions)):
        row = {name: values[i : i + 1] for name, values in given.items()}
        yield contract.input.raw_signature, row


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps away what the converter prints from C++, past Python's standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
