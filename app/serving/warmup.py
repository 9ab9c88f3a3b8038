"""Requests for TensorFlow Serving: the ones it warms up with, and one to try by hand.

Formats: https://www.tensorflow.org/tfx/serving/saved_model_warmup (a TFRecord of
PredictionLog) and https://www.tensorflow.org/tfx/serving/api_rest (row format; inputs
whose names end in `_bytes` come as {"b64": …}).
"""

import base64
import importlib.util
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from app.serving.golden import Golden
from app.serving.inputs.base import DEFAULT
from app.serving.signatures import Contract

WARM_UP = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
REQUEST = "request.json"
_BATCHES = (1, 32)


def write_warm_up(
    version: pathlib.Path, name: str, golden: Golden, contract: Contract
) -> bool:
    """Writes requests of 1 and 32 rows of a golden input.

    Args:
      version: the SavedModel's folder.
      name: of the model, as it will be served.
      golden: inputs.
      contract: of the export.

    Returns:
      Whether they were written: that needs the package tensorflow-serving-api.
    """
    if importlib.util.find_spec("tensorflow_serving") is None:
        return False
    path = version / WARM_UP
    path.parent.mkdir()
    row = _example_row(golden, contract)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for rows in _BATCHES:
            batch = {
                key: tf.repeat(tf.constant(value)[None], rows, axis=0)
                for key, value in row.items()
            }
            writer.write(_prediction_log(name, batch).SerializeToString())
    return True


def write_request(version: pathlib.Path, golden: Golden, contract: Contract) -> None:
    """Writes a request for `curl -d @request.json`, of a golden input."""
    path = version / REQUEST
    request = rest_request([_example_row(golden, contract)])
    path.write_text(json.dumps(request) + "\n")


def rest_request(
    rows: Sequence[Mapping[str, Any]], signature: str = DEFAULT
) -> dict[str, Any]:
    """A predict request's JSON in row format.

    Args:
      rows: each by the inputs' names: bytes, texts, numbers or arrays.
      signature: that is asked.
    """
    instances = [
        {key: _json_value(value) for key, value in row.items()} for row in rows
    ]
    return {"signature_name": signature, "instances": instances}


def _json_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, np.float32):
        # 0.1 rather than 0.10000000149011612, which is the same float32.
        return float(str(value))
    return np.asarray(value).tolist()


def _example_row(golden: Golden, contract: Contract) -> dict[str, Any]:
    """Inputs of the default signature: the first golden ones without a missing number.

    TensorFlow Serving reads NaN, but not everything between it and a user does.
    """
    encoded = contract.input.encoded
    if encoded and encoded[0] == DEFAULT:
        return {encoded[1]: golden.contents[0]}
    given = golden.inputs[DEFAULT]
    numbers = [values for values in given.values() if values.dtype == np.float32]
    whole = np.ones(len(golden.names), np.bool_)
    for values in numbers:
        whole &= ~np.isnan(values.reshape(len(values), -1)).any(axis=1)
    # The first, 0, if a number is missing in all of them.
    chosen = int(whole.argmax())
    return {key: values[chosen] for key, values in given.items()}


def _prediction_log(name: str, batch: Mapping[str, tf.Tensor]) -> Any:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = DEFAULT
    for key, values in batch.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
