"""A misspelt name is answered with the one that was meant."""

import tensorflow as tf
from absl.testing import parameterized

from base import errors

KNOWN = ("ResNet50", "ResNet101", "VGG16")


class UnknownTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("ResNet5", "ResNet50"),
        ("resnet50", "ResNet50"),  # another case is no other name
        ("vgg", "VGG16"),
        ("transformer", None),
    )
    def test_the_closest_name(self, received: str, meant: str | None) -> None:
        self.assertEqual(errors.closest(received, KNOWN), meant)

    def test_without_a_close_name_nothing_is_suggested(self) -> None:
        self.assertEqual(errors.did_you_mean("transformer", KNOWN), "")

    def test_the_line_says_what_there_is(self) -> None:
        self.assertEqual(
            str(errors.unknown("model", "VGG61", KNOWN)),
            "unknown model 'VGG61' (did you mean 'VGG16'?); there is: ResNet50,"
            " ResNet101, VGG16",
        )
        self.assertEqual(
            str(errors.unknown("model", "x", ())), "unknown model 'x'; there is: none"
        )

    def test_a_long_list_does_not_bury_the_suggestion(self) -> None:
        names = [f"backbone_{i}" for i in range(100)]
        self.assertEqual(
            str(errors.unknown("backbone", "backbone_77x", names)),
            "unknown backbone 'backbone_77x' (did you mean 'backbone_77'?)",
        )


if __name__ == "__main__":
    tf.test.main()
