"""What parameter servers cannot do is refused; no process is started."""

import types
import unittest

from absl.testing import parameterized

from app.configs import flags
from app.configs.commands import TrainConfig
from app.distribution import strategies
from app.distribution.cluster import ALONE, Cluster
from app.runs import parameter_servers
from base.errors import UserError

SERVED = Cluster(("127.0.0.1:1",), 0, ("127.0.0.1:2",), "127.0.0.1:3", "chief")


def config_of(*arguments: str) -> TrainConfig:
    return flags.parse(TrainConfig, ["--run_dir=unused", *arguments])


class FitTest(parameterized.TestCase):
    def require_readable(self, *, native: bool, resident: bool) -> None:
        dataset = types.SimpleNamespace(source=types.SimpleNamespace(native=native))
        feed = types.SimpleNamespace(resident=resident)
        parameter_servers.require_readable(config_of(), dataset, feed)

    def test_data_that_workers_can_read_or_hold(self) -> None:
        self.require_readable(native=True, resident=False)
        self.require_readable(native=False, resident=True)
        with self.assertRaisesRegex(UserError, "--dataset=digits .*atelier pack"):
            self.require_readable(native=False, resident=False)

    @parameterized.parameters(
        "--ema=0.9",
        "--optimizer=nadam",
        "--precision=mixed_float16",
        "--precision=auto",
        "--recompute",
        "--eager",
    )
    def test_what_workers_would_overwrite(self, flag) -> None:
        parameter_servers.require_flags_fit(config_of())
        with self.assertRaisesRegex(UserError, flag.removesuffix("=0.9")):
            parameter_servers.require_flags_fit(config_of(flag))

    @parameterized.parameters(
        (ALONE, ("--strategy=parameter_server",), "found no parameter server"),
        (SERVED, ("--strategy=multi_worker",), "expected parameter_server"),
        (SERVED, ("--sync_batch_norm",), "--sync_batch_norm"),
        (SERVED, ("--logical_cpus=2",), "--logical_cpus=2"),
    )
    def test_a_strategy_that_is_not_the_clusters(self, cluster, given, named) -> None:
        with self.assertRaisesRegex(UserError, named):
            strategies.require_fit(config_of(*given).distribution, cluster)


if __name__ == "__main__":
    unittest.main()
