"""Initial weights: what passes through convolutions that begin as the identity."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models import registry
from models.initializers import PartialIdentity
from models.spec import Inputs, Outputs


class PartialIdentityTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((3, 3), (3, 8), (5, 2))
    def test_inputs_pass_as_far_as_channels_allow(self, channels, filters) -> None:
        images = tf.random.stateless_normal((2, 6, 6, channels), (0, 1))
        for initializer, passes in ((PartialIdentity(1), True), ("he_normal", False)):
            layer = keras.layers.Conv2D(
                filters, 3, padding="same", kernel_initializer=initializer
            )
            count = min(channels, filters)
            found = layer(images)[..., :count]
            self.assertEqual(np.allclose(found, images[..., :count], atol=1e-6), passes)

    def test_the_other_filters_are_drawn(self) -> None:
        kernel = PartialIdentity(1)((3, 3, 64, 256)).numpy()
        drawn = kernel[..., 64:]
        self.assertAllClose(drawn.std(), (1 / (3 * 9 * 64)) ** 0.5, rtol=0.02)
        self.assertNotAllEqual(kernel, PartialIdentity(2)((3, 3, 64, 256)))
        again = PartialIdentity.from_config(PartialIdentity(1).get_config())
        self.assertAllEqual(kernel, again((3, 3, 64, 256)))

    @parameterized.parameters("cnn", "airbench")
    def test_models_take_it_as_an_argument(self, name: str) -> None:
        for flag in ("true", "false"):
            model = registry.build(
                name,
                f"width=4,identity_init={flag}",
                Inputs("image", (8, 8, 4)),
                Outputs("classification", 3),
            )
            kernel = next(w for w in model.weights if w.shape == (3, 3, 4, 4)).numpy()
            is_identity = np.array_equal(kernel[1, 1], np.eye(4))
            self.assertEqual(is_identity, flag == "true")


if __name__ == "__main__":
    tf.test.main()
