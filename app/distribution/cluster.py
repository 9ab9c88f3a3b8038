"""Who takes part in a run: the tasks that TF_CONFIG or SLURM's environment names."""

import dataclasses
import ipaddress
import json
import re
import subprocess
from collections.abc import Mapping, MutableMapping, Sequence

from base.errors import UserError

# SLURM's jobs on one machine must not meet: ports are spread by the job's number.
_FIRST_PORT = 20_000
_PORTS = 20_000


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The tasks, and which of them this process is.

    Attributes:
      workers: `host:port` of each; empty if this process is alone.
      index: of this process among those of its job; where there are no parameter
        servers, worker 0 is the chief, which writes the run folder.
      servers: `host:port` of each parameter server; empty for synchronous training.
      chief: `host:port` of the task that deals the steps to the workers, where there
        are parameter servers.
      job: `worker`, or with parameter servers `chief` or `ps` too.
    """

    workers: tuple[str, ...] = ()
    index: int = 0
    servers: tuple[str, ...] = ()
    chief: str = ""
    job: str = "worker"

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.job == "chief" if self.servers else self.index == 0

    @property
    def jobs(self) -> dict[str, list[str]]:
        """Addresses by job, as TensorFlow names the jobs."""
        found = {"worker": list(self.workers)}
        if self.servers:
            found |= {"chief": [self.chief], "ps": list(self.servers)}
        return found

    @property
    def addresses(self) -> list[str]:
        """`host:port` of every task."""
        return [address for some in self.jobs.values() for address in some]

    @property
    def is_local(self) -> bool:
        """Whether all tasks are reached by the loopback interface."""
        return all(_is_loopback(address) for address in self.addresses)

    def name(self, index: int, job: str = "worker") -> str:
        """A task as messages call it."""
        if job == "chief":
            return f"the chief ({self.chief})"
        called = "parameter server" if job == "ps" else job
        return f"{called} {index} ({self.jobs[job][index]})"

    def to_tf_config(self) -> str:
        """The environment variable TF_CONFIG that says the same."""
        task = {"type": self.job, "index": self.index}
        return json.dumps({"cluster": self.jobs, "task": task})


ALONE = Cluster()


def from_environment(
    environment: Mapping[str, str], parameter_servers: int = 0
) -> Cluster:
    """The cluster that the environment names: TF_CONFIG first, then SLURM's.

    Args:
      environment: of the process.
      parameter_servers: how many of SLURM's tasks, after the first, which is the
        chief, are parameter servers; 0 for synchronous training.

    Raises:
      UserError: it names one that cannot be understood.
    """
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _with_servers(_from_slurm(environment), parameter_servers)
    return ALONE


def _with_servers(tasks: Cluster, count: int) -> Cluster:
    """Divides equal tasks into a chief, parameter servers and workers.

    Raises:
      UserError: no worker is left.
    """
    if not count:
        return tasks
    addresses, index = tasks.workers, tasks.index
    if len(addresses) < count + 2:
        raise UserError(
            f"srun started {len(addresses)} tasks: expected {count + 2} or more, a"
            f" chief, --parameter_servers={count} and a worker; give srun more --ntasks"
        )
    first = 1 + count
    job = "chief" if index == 0 else "ps" if index < first else "worker"
    number = {"chief": 0, "ps": index - 1, "worker": index - first}[job]
    return Cluster(addresses[first:], number, addresses[1:first], addresses[0], job)


def _from_tf_config(text: str) -> Cluster:
    """See https://www.tensorflow.org/guide/distributed_training#TF_CONFIG."""
    try:
        value = json.loads(text)
        jobs: Mapping[str, list[str]] = value.get("cluster", {})
        chief, workers = jobs.get("chief", []), jobs.get("worker", [])
        servers = jobs.get("ps", [])
        task = value.get("task", {"type": "worker", "index": 0})
        kind, index = task["type"], int(task["index"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"TF_CONFIG={text}: expected JSON such as"
            ' {"cluster": {"worker": ["HOST:PORT", …]},'
            ' "task": {"type": "worker", "index": 0}}'
        ) from None
    known = {"chief", "worker", "ps"}
    odd = sorted((set(jobs) | {kind}) - known) or ([kind] if kind not in jobs else [])
    if odd and jobs:
        raise UserError(
            f"TF_CONFIG names the job {odd[0]!r}: expected chief, worker and ps alone,"
            " this task's among them"
        )
    if jobs and not 0 <= index < len(jobs[kind]):
        raise UserError(
            f"TF_CONFIG calls this task {index} of {len(jobs[kind])} of the job {kind}:"
            f" expected 0 to {len(jobs[kind]) - 1}"
        )
    if servers:
        return _asynchronous(chief, workers, servers, kind, index)
    together = (*chief, *workers)
    index += len(chief) if kind == "worker" else 0
    return Cluster(together, index) if len(together) > 1 else ALONE


def _asynchronous(
    chief: Sequence[str],
    workers: Sequence[str],
    servers: Sequence[str],
    kind: str,
    index: int,
) -> Cluster:
    if len(chief) != 1 or not workers:
        raise UserError(
            f"TF_CONFIG names {len(servers)} tasks of the job ps, {len(chief)} of chief"
            f" and {len(workers)} of worker: expected one chief, and one worker or more"
        )
    return Cluster(tuple(workers), index, tuple(servers), chief[0], kind)


def stand_alone(environment: MutableMapping[str, str]) -> None:
    """Lets the environment name nobody any more, for a process that trains alone."""
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS"):
        environment.pop(name, None)


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
