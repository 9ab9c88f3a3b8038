"""Who takes part in a run: the workers that TF_CONFIG or SLURM's environment names."""

import dataclasses
import ipaddress
import json
import re
import subprocess
from collections.abc import Mapping

from app.errors import UserError

# SLURM's jobs on one machine must not meet: ports are spread by the job's number.
_FIRST_PORT = 20_000
_PORTS = 20_000


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers, and which of them this process is.

    Attributes:
      workers: `host:port` of each; empty if this process is alone.
      index: of this process; worker 0 is the chief, which writes the run folder.
    """

    workers: tuple[str, ...] = ()
    index: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.index == 0

    @property
    def is_local(self) -> bool:
        """Whether all workers are reached by the loopback interface."""
        return all(_is_loopback(address) for address in self.workers)

    def name(self, index: int) -> str:
        """A worker as messages call it."""
        return f"worker {index} ({self.workers[index]})"

    def to_tf_config(self) -> str:
        """The environment variable TF_CONFIG that says the same."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.workers)}, "task": task})


ALONE = Cluster()


def from_environment(environment: Mapping[str, str]) -> Cluster:
    """The cluster that the environment names: TF_CONFIG first, then SLURM's.

    Raises:
      UserError: it names one that cannot be understood.
    """
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _from_slurm(environment)
    return ALONE


def _from_tf_config(text: str) -> Cluster:
    """See https://www.tensorflow.org/guide/distributed_training#TF_CONFIG."""
    try:
        value = json.loads(text)
        jobs: Mapping[str, list[str]] = value.get("cluster", {})
        workers = (*jobs.get("chief", []), *jobs.get("worker", []))
        task = value.get("task", {"type": "worker", "index": 0})
        kind, index = task["type"], int(task["index"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"TF_CONFIG={text}: expected JSON such as"
            ' {"cluster": {"worker": ["HOST:PORT", …]},'
            ' "task": {"type": "worker", "index": 0}}'
        ) from None
    others = set(jobs) - {"chief", "worker"}
    if others or kind not in ("chief", "worker"):
        odd = sorted(others)[0] if others else kind
        raise UserError(
            f"TF_CONFIG names the job {odd!r}: expected chief and worker alone"
        )
    if kind == "worker":
        index += len(jobs.get("chief", []))
    if workers and not 0 <= index < len(workers):
        raise UserError(
            f"TF_CONFIG calls this task {index} of {len(workers)} workers: expected"
            f" 0 to {len(workers) - 1}"
        )
    return Cluster(tuple(workers), index) if len(workers) > 1 else ALONE


def _from_slurm(environment: Mapping[str, str]) -> Cluster:
    """Tasks of a job step, as srun numbers them: node by node.

    See the output environment variables of https://slurm.schedmd.com/srun.html.
    """
    distribution = environment.get("SLURM_DISTRIBUTION", "block")
    if not distribution.startswith("block"):
        raise UserError(
            f"SLURM_DISTRIBUTION={distribution}: expected srun --distribution=block,"
            " its default, by which the tasks' addresses are known"
        )
    hosts = _host_names(environment["SLURM_STEP_NODELIST"])
    counts = tasks_per_node(environment["SLURM_STEP_TASKS_PER_NODE"])
    job = int(environment["SLURM_JOB_ID"])
    first = _FIRST_PORT + 64 * job % _PORTS
    workers = tuple(
        f"{host}:{first + task}"
        for host, count in zip(hosts, counts, strict=True)
        for task in range(count)
    )
    return Cluster(workers, int(environment["SLURM_PROCID"]))


def tasks_per_node(text: str) -> list[int]:
    """Reads SLURM's `2(x3),1`: 2, 2, 2, 1."""
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise UserError(
                f"SLURM_STEP_TASKS_PER_NODE={text}: expected a list such as 2(x3),1"
            )
        counts.extend([int(match[1])] * int(match[2] or 1))
    return counts


def _host_names(node_list: str) -> list[str]:
    """SLURM's own reading of `node[1-3]`.

    Raises:
      UserError: `scontrol` is not there or does not know the nodes.
    """
    try:
        done = subprocess.run(
            ["scontrol", "show", "hostnames", node_list],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(
            f"`scontrol show hostnames {node_list}` failed ({error}): expected SLURM's"
            " client on every node; or set TF_CONFIG yourself"
        ) from error
    return done.stdout.split()


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
