"""Requests for TensorFlow Serving: the ones it warms up with, and one to try by hand.

Formats: https://www.tensorflow.org/tfx/serving/saved_model_warmup (a TFRecord of
PredictionLog) and https://www.tensorflow.org/tfx/serving/api_rest (row format; inputs
whose names end in `_bytes` come as {"b64": …}).
"""

import base64
import importlib.util
import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from app.serving.golden import Golden
from app.serving.signatures import DEFAULT, Contract

WARM_UP = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
REQUEST = "request.json"
_BATCHES = (1, 32)


def write_warm_up(
    version: pathlib.Path, name: str, golden: Golden, contract: Contract
) -> bool:
    """Writes requests of 1 and 32 rows of the first golden input.

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
    key, value = _first_row(golden, contract)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for rows in _BATCHES:
            batch = tf.repeat(tf.constant(value)[None], rows, axis=0)
            writer.write(_prediction_log(name, key, batch).SerializeToString())
    return True


def write_request(version: pathlib.Path, golden: Golden, contract: Contract) -> None:
    """Writes a request for `curl -d @request.json`, of the first golden input."""
    key, value = _first_row(golden, contract)
    path = version / REQUEST
    path.write_text(json.dumps(rest_request(key, [value])) + "\n")


def rest_request(key: str, rows: list[Any]) -> dict[str, Any]:
    """A predict request's JSON in row format.

    Args:
      key: the input's name.
      rows: bytes, or arrays, one a row.
    """
    instances = [
        {key: {"b64": base64.b64encode(row).decode()}}
        if isinstance(row, bytes)
        else {key: np.asarray(row).tolist()}
        for row in rows
    ]
    return {"signature_name": DEFAULT, "instances": instances}


def _first_row(golden: Golden, contract: Contract) -> tuple[str, Any]:
    if golden.contents:
        return "image_bytes", golden.contents[0]
    return contract.raw_input.name, golden.examples[0]


def _prediction_log(name: str, key: str, batch: tf.Tensor) -> Any:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = DEFAULT
    request.inputs[key].CopyFrom(tf.make_tensor_proto(batch))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
