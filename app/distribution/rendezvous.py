"""Workers meet over plain sockets before TensorFlow connects them.

TensorFlow waits for an absent peer without end, and holds Python's lock meanwhile, so
that no thread could notice. Here every worker greets worker 0, at the address that its
TensorFlow server takes over afterwards, and hears who is missing.
"""

import contextlib
import json
import socket
import time
from typing import Any

from app.distribution.cluster import Cluster
from base.errors import Interrupted

_LONGEST = 1 << 16  # bytes of a message
_RETRY = 0.1
# What worker 0 needs, after its deadline, to tell the others who is missing.
_ANSWER = 5.0


def meet(cluster: Cluster, timeout: float) -> None:
    """Returns when all workers have come, on each of them.

    Raises:
      Interrupted: they had not within `timeout` seconds; names the missing ones.
    """
    deadline = time.monotonic() + timeout
    find_missing = _greet if cluster.index else _gather
    missing = find_missing(cluster, deadline)
    if missing:
        names = " and ".join(cluster.name(index) for index in missing)
        raise Interrupted(
            f"{names} did not come within {timeout:g} s; no step was done: the same"
            " command on all workers goes on from the last checkpoint"
        )


def _gather(cluster: Cluster, deadline: float) -> list[int]:
    """Worker 0: waits for the others and tells them; the numbers of the missing."""
    arrived: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as held:
        listener = held.enter_context(_listener(cluster))
        while missing := _others(cluster) - _answering(arrived):
            listener.settimeout(max(0.0, min(_RETRY, deadline - time.monotonic())))
            with contextlib.suppress(OSError):
                one = held.enter_context(listener.accept()[0])
                index = _greeting(one, cluster)
                if index is not None:
                    arrived[index] = one
            if time.monotonic() > deadline:
                break
        # Nobody may find worker 0 listening for a second time.
        listener.close()
        for one in arrived.values():
            with contextlib.suppress(OSError):
                _send(one, {"missing": sorted(missing)})
    return sorted(missing)


def _greet(cluster: Cluster, deadline: float) -> list[int]:
    """Any other worker: greets worker 0 until it answers; who is missing."""
    host, port = _host(cluster.workers[0]), _port(cluster.workers[0])
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(OSError, ValueError, KeyError):
            with socket.create_connection((host, port), timeout=left) as one:
                _send(one, {"workers": list(cluster.workers), "index": cluster.index})
                one.settimeout(left + _ANSWER)
                return [int(index) for index in _receive(one)["missing"]]
        time.sleep(_RETRY)
    return [0]


def _listener(cluster: Cluster) -> socket.socket:
    """Listens where worker 0's TensorFlow server will; on loopback if all are there.

    Raises:
      Interrupted: another program has the port.
    """
    host, port = _host(cluster.workers[0]), _port(cluster.workers[0])
    two = not cluster.is_local and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if two or ":" in host else socket.AF_INET
    address = (host if cluster.is_local else "", port)
    try:
        return socket.create_server(
            address, family=family, backlog=128, dualstack_ipv6=two
        )
    except OSError as error:
        raise Interrupted(
            f"port {port}, which the cluster gives to worker 0, cannot be listened on"
            f" ({error.strerror}): end the program that has it, or give another port"
        ) from error


def _greeting(one: socket.socket, cluster: Cluster) -> int | None:
    """The number of the worker that greets; None if it is of another cluster."""
    one.settimeout(1.0)
    try:
        said = _receive(one)
        index = int(said["index"])
        same = said["workers"] == list(cluster.workers)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return index if same and index in _others(cluster) else None


def _answering(arrived: dict[int, socket.socket]) -> set[int]:
    """Those who came and have not gone since: a dead process's socket is closed."""
    found = set()
    for index, one in arrived.items():
        one.setblocking(False)
        try:
            gone = one.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            gone = False
        except OSError:
            gone = True
        if not gone:
            found.add(index)
        one.settimeout(_ANSWER)
    return found


def _others(cluster: Cluster) -> set[int]:
    return set(range(len(cluster.workers))) - {cluster.index}


def _send(one: socket.socket, message: dict[str, Any]) -> None:
    one.sendall(json.dumps(message).encode() + b"\n")


def _receive(one: socket.socket) -> dict[str, Any]:
    """A line of JSON.

    Raises:
      OSError: the other side has gone, or says nothing.
      ValueError: it says something else.
    """
    with one.makefile("rb") as file:
        line = file.readline(_LONGEST)
    if not line:
        raise ConnectionError("closed")
    message: dict[str, Any] = json.loads(line)
    return message


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
