"""When a TPU is chosen; there is none here, so it is made up."""

import os
import unittest
from unittest import mock

import tensorflow as tf

from app.configs.distribution import DistributionConfig
from app.distribution import strategies
from base.errors import UserError

RESOLVER = tf.distribute.cluster_resolver.TPUClusterResolver


class TPUTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connect = self.enterContext(mock.patch.object(RESOLVER, "connect"))
        self.made = self.enterContext(mock.patch.object(tf.distribute, "TPUStrategy"))

    def strategy(self, **values):
        return strategies.make_strategy(DistributionConfig(**values))

    def test_auto_takes_one_that_is_named(self) -> None:
        with mock.patch.dict(os.environ, TPU_NAME="v4"):
            self.assertIs(self.strategy(), self.made.return_value)
        self.connect.assert_called_once_with("v4")
        self.made.assert_called_once_with(self.connect.return_value)

    def test_auto_takes_one_that_is_in_the_machine(self) -> None:
        found = tf.config.PhysicalDevice("/physical_device:TPU:0", "TPU")
        only_tpu = lambda kind: [found] if kind == "TPU" else []  # noqa: E731
        with mock.patch.object(tf.config, "list_physical_devices", only_tpu):
            self.assertIs(self.strategy(), self.made.return_value)
        self.connect.assert_called_once_with("")

    def test_nobody_else_does(self) -> None:
        self.assertIs(self.strategy(), tf.distribute.get_strategy())
        with mock.patch.dict(os.environ, TPU_NAME="v4"):
            alone = self.strategy(strategy="one_device")
        self.assertIs(alone, tf.distribute.get_strategy())
        self.connect.assert_not_called()

    def test_one_that_does_not_answer_is_a_mistake(self) -> None:
        self.connect.side_effect = ValueError("no such TPU")
        with mock.patch.dict(os.environ, TPU_NAME="v4"):
            with self.assertRaisesRegex(UserError, "TPU_NAME=v4: .*no such TPU"):
                self.strategy()


if __name__ == "__main__":
    unittest.main()
