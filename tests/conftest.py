"""Settings for every test: TensorFlow quiet, GPU memory shared, figures off screen.

And a guard: what only a marked test may do, an unmarked one fails at.
"""

import os
from collections.abc import Generator

import pytest

from tests import tiers

# Before the first import of TensorFlow, which reads them once. Processes that tests
# start inherit them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("MPLBACKEND", "Agg")
# As app.tf_startup sets it: processes that tests fork have TensorFlow loaded before,
# and would compute other last bits than those that load it themselves.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """Runs a test, and what is set up for its class, as its marks say."""
    with tiers.guarded([mark.name for mark in item.iter_markers()]):
        return (yield)
