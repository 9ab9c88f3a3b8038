"""Functions of the user's own in `--augment`: keyed, checked, and after the others."""

import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines import augmentation, own_augmentation
from pipelines.augmentation import Draws
from pipelines.features import ClassLabel, ExampleSpec, Image
from tests.own_folder import OwnFolderTestCase

_FILE = """
import numpy as np
import tensorflow as tf

def speckle(images, keys):
    noise = tf.map_fn(
        lambda key: tf.random.stateless_normal(images.shape[1:], key, stddev=9.0),
        keys,
        fn_output_signature=tf.float32,
    )
    return images + noise

def white(images, keys):
    return tf.fill(images.shape, tf.constant(255, tf.uint8))

def half(images, keys):
    return images / 2

def one_key(images, keys):
    return images + tf.random.stateless_normal(images.shape, keys[0], stddev=9.0)

def mean(images, keys):
    return images - tf.reduce_mean(images)

def stateful(images, keys):
    return images + tf.random.normal(images.shape)

def python(images, keys):
    return tf.numpy_function(np.flip, [images], tf.float32)

def smaller(images, keys):
    return images[:, 1:]

def whole(images, keys):
    return tf.cast(images, tf.int32)

def nothing(images, keys):
    pass

def not_a_number(images, keys):
    return images * float("nan")

def of_images(images):
    return images
"""
_SHAPE = (4, 4, 1)
_FEATURES = ExampleSpec(Image(_SHAPE), ClassLabel(("a", "b")))


class OwnAugmentationTest(OwnFolderTestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("models.py", _FILE)

    def augmented(self, text: str, positions, seed: int = 3) -> tf.Tensor:
        positions = tf.constant(positions, tf.int64)
        images = tf.zeros([len(positions), *_SHAPE], tf.uint8) + 100
        draws = Draws(positions, seed)
        parsed = augmentation.parse(text)
        found, _ = _FEATURES.augmented(parsed, images, positions % 2, draws)
        return found

    def test_draws_depend_on_seed_position_and_name_alone(self) -> None:
        own_augmentation.check(["models:speckle"], _SHAPE)
        found = self.augmented("models:speckle", [5, 6, 7, 8])
        again = self.augmented("flip,models:speckle", [7, 8])
        self.assertAllEqual(found[2:], again)
        self.assertNotAllClose(found[0], found[1])
        self.assertNotAllClose(found, self.augmented("models:speckle", [5, 6, 7, 8], 4))
        self.write("other.py", _FILE)
        self.assertNotAllClose(found, self.augmented("other:speckle", [5, 6, 7, 8]))

    def test_they_come_last_in_the_order_written(self) -> None:
        found = self.augmented("models:white,models:half,noise=9", [0, 1])
        self.assertAllEqual(found, tf.fill(found.shape, 127.5))
        found = self.augmented("models:half,models:white", [0, 1])
        self.assertAllEqual(found, tf.fill(found.shape, 255.0))

    @parameterized.parameters(
        ("one_key", "depends on the others of its batch"),
        ("mean", "depends on the others of its batch"),
        ("not_a_number", "values that are finite"),
        ("stateful", r"RandomStandardNormal .* has a state"),
        ("python", r"PyFunc .* runs Python"),
        ("smaller", r"gave shape \(4, 3, 4, 1\) for images"),
        ("whole", "gave int32 for images"),
        ("nothing", "gave a NoneType for images"),
        ("of_images", r"takes \(images\): expected of_images\(images, keys\)"),
    )
    def test_what_is_no_such_function_is_refused(self, name, message) -> None:
        with self.assertRaisesRegex(UserError, f"--augment=models:{name} .*{message}"):
            own_augmentation.check([f"models:{name}"], _SHAPE)

    @parameterized.parameters(
        ("models:half=3", "received models:half=3; expected models:half, without"),
        ("models:half,models:half", "models:half is given twice"),
        ("models:", "Known are .*package.module:name"),
    )
    def test_what_is_no_reference_is_refused(self, text, message) -> None:
        with self.assertRaisesRegex(UserError, message):
            augmentation.parse(text)


if __name__ == "__main__":
    tf.test.main()
