"""TensorFlow has the private parts that models rely on."""

import tensorflow as tf

from models import tf_internals


class GradientTest(tf.test.TestCase):
    def test_a_gradient_is_replaced_and_put_back(self) -> None:
        original = tf_internals.registered_gradient("Square")
        x = tf.constant([1.0, 2.0])

        def gradient_of_square() -> tf.Tensor:
            @tf.function
            def compute(x: tf.Tensor) -> tf.Tensor:
                return tf.gradients(tf.square(x), [x])[0]

            return compute(x)

        self.assertAllEqual(gradient_of_square(), 2 * x)
        tf_internals.replace_gradient("Square", lambda _, upstream: 5 * upstream)
        try:
            self.assertAllEqual(gradient_of_square(), [5.0, 5.0])
        finally:
            tf_internals.replace_gradient("Square", original)
        self.assertAllEqual(gradient_of_square(), 2 * x)


if __name__ == "__main__":
    tf.test.main()
