"""What a server does with an export: requests, warm-up, and what strangers send."""

import base64
import json
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from app.serving import warmup
from tests.app.serving import exported_runs
from tests.app.serving.limits_test import encoded, gif_bomb, png_bomb

pytestmark = pytest.mark.export


def as_request(
    body: dict, signature: dict[str, tf.TensorSpec]
) -> predict_pb2.PredictRequest:
    """What TensorFlow Serving's REST interface makes of a predict request's JSON.

    https://www.tensorflow.org/tfx/serving/api_rest: row format, `instances` of named
    inputs; {"b64": …} is decoded for inputs whose names end in `_bytes`.
    """
    request = predict_pb2.PredictRequest()
    json_format.ParseDict({"signatureName": body["signature_name"]}, request.model_spec)
    for name, spec in signature.items():
        rows = [instance[name] for instance in body["instances"]]
        if name.endswith("_bytes"):
            rows = [base64.b64decode(row["b64"], validate=True) for row in rows]
        tensor = tf.make_tensor_proto(rows, spec.dtype)
        request.inputs[name].CopyFrom(tensor)
    return request


def serve(signatures: Any, request: predict_pb2.PredictRequest) -> dict[str, Any]:
    """What the signature that a request names answers: arrays by name."""
    signature = signatures[request.model_spec.signature_name]
    inputs = {
        name: tf.constant(tf.make_ndarray(tensor))
        for name, tensor in request.inputs.items()
    }
    answers = signature(**inputs)
    return {name: answer.numpy() for name, answer in answers.items()}


class RequestsTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.version = exported_runs.export()
        self.loaded = tf.saved_model.load(str(self.version))
        self.signatures = self.loaded.signatures
        self.picture = (self.version / "golden" / "palette.png").read_bytes()

    def serve(self, request: predict_pb2.PredictRequest) -> dict[str, Any]:
        return serve(self.signatures, request)

    def bytes_specs(self) -> dict[str, tf.TensorSpec]:
        _, specs = self.signatures["serving_default"].structured_input_signature
        return specs

    def test_the_request_for_curl(self) -> None:
        body = json.loads((self.version / "request.json").read_text())
        answers = self.serve(as_request(body, self.bytes_specs()))
        with np.load(self.version / "golden" / "golden.npz") as golden:
            expected = golden["answer_probabilities"][:1]
        self.assertAllClose(answers["probabilities"], expected, atol=1e-5)
        self.assertIn(answers["label"][0].decode(), ("cat", "dog"))

    def test_many_rows_of_any_size_and_format(self) -> None:
        rows = [self.picture, encoded(40, 30, "JPEG"), encoded(3, 5, "BMP")]
        body = warmup.rest_request([{"image_bytes": row} for row in rows])
        body = json.loads(json.dumps(body))
        answers = self.serve(as_request(body, self.bytes_specs()))
        self.assertAllClose(answers["probabilities"].sum(1), [1, 1, 1])
        self.assertEqual(answers["class_id"].dtype, np.int64)

    def test_pixels_as_json(self) -> None:
        pixels = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
        body = warmup.rest_request([{"pixels": row} for row in pixels], "pixels")
        _, specs = self.signatures["pixels"].structured_input_signature
        answers = self.serve(as_request(body, specs))
        expected = self.signatures["pixels"](pixels=tf.constant(pixels))
        self.assertAllEqual(answers["probabilities"], expected["probabilities"])

    def test_warm_up_requests_are_answered(self) -> None:
        path = str(self.version / warmup.WARM_UP)
        rows = []
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            request = log.predict_log.request
            self.assertEqual(request.model_spec.name, "run")
            rows.append(len(self.serve(request)["label"]))
        self.assertEqual(rows, [1, 32])

    def test_no_rows(self) -> None:
        for signature, name, dtype, shape in (
            ("serving_default", "image_bytes", tf.string, [0]),
            ("pixels", "pixels", tf.uint8, [0, 8, 8, 3]),
        ):
            nothing = {name: tf.zeros(shape, dtype)}
            with self.assertRaisesRegex(
                tf.errors.InvalidArgumentError, f"{name} holds no rows"
            ):
                self.signatures[signature](**nothing)

    def test_strangers_get_an_error_and_the_next_request_is_served(self) -> None:
        call = self.signatures["serving_default"]
        damaged = bytearray(encoded(64, 64, "PNG"))
        damaged[60:90] = bytes(30)
        strangers = {
            b"": r"image_bytes\[1\] is not a JPEG, PNG, BMP or GIF image",
            b"not an image": r"image_bytes\[1\] is not a JPEG, PNG, BMP or GIF image",
            png_bomb(
                30_000
            ): r"image_bytes\[1\] has 900000000 pixels; at most 20000000",
            gif_bomb(60_000): r"image_bytes\[1\] has \d+ pixels",
            b"\xff\xd8\xff\xe0": "image_bytes",
            encoded(9, 9, "JPEG")[:200]: "image_bytes",
            bytes(damaged): "image_bytes",
        }
        for contents, message in strangers.items():
            given = tf.constant([self.picture, contents])
            with self.subTest(contents[:8]):
                with self.assertRaisesRegex(tf.errors.InvalidArgumentError, message):
                    call(image_bytes=given)
                served = call(image_bytes=given[:1])
                self.assertAllClose(tf.reduce_sum(served["probabilities"]), 1.0)

    def test_pixels_of_a_wrong_shape_or_type(self) -> None:
        call = self.signatures["pixels"]
        for wrong in (
            tf.zeros([1, 9, 8, 3], tf.uint8),
            tf.zeros([1, 8, 8, 1], tf.uint8),
            tf.zeros([8, 8, 3], tf.uint8),
            tf.zeros([1, 8, 8, 3], tf.float32),
        ):
            with self.subTest(f"{wrong.dtype.name} {wrong.shape}"):
                with self.assertRaisesRegex(
                    (TypeError, ValueError, tf.errors.InvalidArgumentError), "pixels"
                ):
                    call(pixels=wrong)
        with self.assertRaisesRegex(TypeError, "pixels"):
            call()
        self.assertLen(call(pixels=tf.zeros([2, 8, 8, 3], tf.uint8))["label"], 2)


class PlaceTest(tf.test.TestCase):
    def test_the_version_is_where_a_server_looks(self) -> None:
        exports = pathlib.Path(exported_runs.export()).parent
        self.assertEqual([entry.name for entry in exports.iterdir()], ["1"])


if __name__ == "__main__":
    tf.test.main()
