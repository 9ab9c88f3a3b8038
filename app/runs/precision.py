"""`--precision=auto`: what trains fastest on this device, measured once and kept.

What was chosen stands in the run's flags.txt, so that a run that goes on elsewhere
computes as it began. Read `settle` first.
"""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import pathlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from app import caches
from app.configs.commands import TrainConfig
from app.distribution.agreement import Agreement
from app.reporting import environment
from app.runs.folder import RunFolder
from base import files

AUTO = "auto"
FLOAT32 = "float32"
_CHOICES = (FLOAT32, "mixed_bfloat16", "mixed_float16")
# Less than this is no reason to round more: measurements differ as much.
_WORTH = 1.05


@dataclasses.dataclass(frozen=True)
class Choice:
    """A precision, and why it was chosen, for the screen."""

    precision: str
    reason: str


def with_precision(config: TrainConfig, precision: str) -> TrainConfig:
    """The same configuration in another precision."""
    training = dataclasses.replace(config.training, precision=precision)
    return dataclasses.replace(config, training=training)


def as_begun(config: TrainConfig, folder: RunFolder) -> TrainConfig:
    """`auto` stands for what the run in `folder` began with, whatever is fast here."""
    if config.training.precision != AUTO or not folder.flags.is_file():
        return config
    return with_precision(config, folder.read_config().training.precision)


def settle(
    of: dict[str, Any],
    agreement: Agreement,
    examples_per_second: Callable[[str], float],
    on_cpu: bool,
) -> Choice:
    """The fastest precision, the same on every worker.

    1. A device without fast half precision: float32.
    2. The same training was measured on this machine before: what was faster then.
    3. Otherwise both are measured now, and the figures kept.

    Args:
      of: what the speed depends on, as JSON values; the machine is added.
      agreement: of all workers; the first one's device and figures count.
      examples_per_second: trains for a moment in a precision; 0 where that fails.
      on_cpu: whether the CPU trains though there may be GPUs.
    """
    candidate, why = fast_precision(on_cpu)
    kept = _Kept({**of, **_machine()}, candidate)
    choice = kept.choice if candidate != FLOAT32 else Choice(FLOAT32, why)
    known = -1 if choice is None else _CHOICES.index(choice.precision)
    agreed, *_ = agreement.all_of(known)
    if agreed < 0:
        index, *_ = agreement.all_of(_CHOICES.index(candidate))
        compared = (FLOAT32, _CHOICES[index])
        choice = kept.keep({name: examples_per_second(name) for name in compared})
        agreed, *_ = agreement.all_of(_CHOICES.index(choice.precision))
    if choice is None or choice.precision != _CHOICES[agreed]:
        return Choice(_CHOICES[agreed], "as the first worker says")
    return choice


def fast_precision(on_cpu: bool) -> tuple[str, str]:
    """What half precision this device may be fast in, else float32; and why.

    bfloat16 needs AVX512_BF16 or AMX, or a GPU of compute capability 8.0 (Ampere);
    float16 a GPU of 7.0 (Volta, Turing): NVIDIA, CUDA C++ Programming Guide, table of
    arithmetic throughput.
    """
    gpus = [] if on_cpu else tf.config.list_physical_devices("GPU")
    if not gpus:
        units = {"avx512_bf16", "amx_bf16"} & _cpu_flags()
        if units:
            return "mixed_bfloat16", f"this CPU has {', '.join(sorted(units))}"
        return FLOAT32, "as this CPU has neither AVX512_BF16 nor AMX"
    capability = min(
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in gpus
    )
    version = ".".join(map(str, capability))
    if capability >= (8, 0):
        return "mixed_bfloat16", f"GPU of compute capability {version}"
    if capability >= (7, 0):
        return "mixed_float16", f"GPU of compute capability {version}"
    return FLOAT32, f"as a GPU of compute capability {version} has no fast half"


class _Kept:
    """The figures of one training on one machine, in a file of the user's cache.

    Args:
      of: what they depend on.
      candidate: the precision that is compared with float32.
    """

    def __init__(self, of: dict[str, Any], candidate: str) -> None:
        self._of = {**of, "candidate": candidate}
        text = json.dumps(self._of, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = caches.folder()
        self._path = None if folder is None else folder / f"precision-{name}.json"

    @property
    def choice(self) -> Choice | None:
        """What follows from the figures; None if there are none that can be used."""
        if self._path is None:
            return None
        try:
            found = files.read_json(self._path)
            if found["of"] != self._of:
                return None
            return _choice(found["examples_per_second"], f"on {found['measured']}")
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, figures: dict[str, float]) -> Choice:
        """Keeps figures, examples per second by precision."""
        today = datetime.date.today().isoformat()
        content = {
            "of": self._of,
            "measured": today,
            "examples_per_second": {k: round(v, 1) for k, v in figures.items()},
        }
        return _choice(figures, f"now; {self._written(content)}")

    def _written(self, content: dict[str, Any]) -> str:
        """Writes the file if that can be; says what has become of it."""
        if self._path is None:
            return "not kept, as there is no home folder: XDG_CACHE_HOME can name one"
        try:
            files.write_json(self._path, content)
        except OSError as error:
            return f"not kept, as {self._path} cannot be written: {error}"
        return f"kept in {self._path}"


def _choice(figures: dict[str, float], when: str) -> Choice:
    (candidate,) = set(figures) - {FLOAT32}
    before, after = figures[FLOAT32], figures[candidate]
    chosen = candidate if after >= _WORTH * before else FLOAT32
    return Choice(
        chosen,
        f"{before:,.0f} examples/s in float32, {after:,.0f} in {candidate}"
        f" (measured {when})",
    )


def _machine() -> dict[str, Any]:
    return {
        "cpu": environment.cpu(),
        "devices": environment.devices(),
        "versions": {
            name: importlib.metadata.version(name) for name in ("tensorflow", "keras")
        },
    }


def _cpu_flags() -> set[str]:
    """The processor's features as Linux names them; none where it does not say."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    lines = (line for line in text.splitlines() if line.startswith("flags"))
    return set(next(lines, "").partition(":")[2].split())
