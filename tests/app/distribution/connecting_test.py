"""A task that is lost while TensorFlow connects to it, as processes; no TensorFlow."""

import concurrent.futures
import json
import signal
import socket
import subprocess
import sys
import unittest

import grpc
import pytest

from tests.app.distribution.rendezvous_test import free_addresses

pytestmark = pytest.mark.cluster

# Holds Python's lock while it sleeps, as TensorFlow does while it connects.
PROGRAM = """
import ctypes, json, sys
from app.distribution import connecting
with connecting.bounded(json.loads(sys.argv[1]), float(sys.argv[2])):
    ctypes.PyDLL(None).usleep(int(1e6 * float(sys.argv[3])))
print("connected")
"""


class ConnectingTest(unittest.TestCase):
    def connect(self, tasks: dict[str, str], seconds: float, lasts: float):
        given = [json.dumps(tasks), str(seconds), str(lasts)]
        command = [sys.executable, "-c", PROGRAM, *given]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def test_those_who_do_not_answer_are_named(self) -> None:
        (gone,) = free_addresses(1)
        server = grpc.server(concurrent.futures.ThreadPoolExecutor())
        there = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        self.addCleanup(server.stop, None)
        with socket.create_server(("127.0.0.1", 0)) as hung:
            stopped = f"127.0.0.1:{hung.getsockname()[1]}"
            tasks = {"worker 0": there, "worker 1": gone, "worker 2": stopped}
            ran = self.connect(tasks, 0.5, lasts=50)
        self.assertEqual(ran.returncode, -signal.SIGALRM)
        self.assertEqual(len(ran.stderr.splitlines()), 1)
        self.assertIn(
            "lost while TensorFlow connected to it: worker 1 and worker 2;", ran.stderr
        )
        self.assertNotIn("worker 0", ran.stderr)

    def test_nothing_is_said_of_a_connection_in_time(self) -> None:
        (gone,) = free_addresses(1)
        ran = self.connect({"worker 1": gone}, 20, lasts=0.5)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertEqual(ran.stdout, "connected\n")


if __name__ == "__main__":
    unittest.main()
