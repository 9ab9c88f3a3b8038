"""A field says of itself what the command line needs to know."""

import dataclasses

import tensorflow as tf

from base.errors import UserError
from base.fields import flag, require


@dataclasses.dataclass(frozen=True)
class Config:
    """Some flags."""

    steps: int = flag(3, "How many.", resumable=True)
    order: str = flag("random", "Which first.", choices=("random", "sorted"))


class FieldsTest(tf.test.TestCase):
    def test_a_field_has_its_default_its_help_and_the_rooms_own_facts(self) -> None:
        steps, order = dataclasses.fields(Config)
        self.assertEqual(Config(), Config(steps=3, order="random"))
        self.assertEqual(steps.metadata, {"help": "How many.", "resumable": True})
        self.assertEqual(
            order.metadata, {"help": "Which first.", "choices": ("random", "sorted")}
        )

    def test_what_holds_is_taken(self) -> None:
        require(True, "steps", 3, "1 or more")

    def test_the_line_says_what_was_received_and_what_was_expected(self) -> None:
        with self.assertRaises(UserError) as refused:
            require(False, "steps", 0, "1 or more")
        self.assertEqual(str(refused.exception), "--steps=0: expected 1 or more")


if __name__ == "__main__":
    tf.test.main()
