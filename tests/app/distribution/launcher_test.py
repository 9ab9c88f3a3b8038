"""The local launcher, on real processes that are small Python programs."""

import contextlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import pytest
from absl.testing import parameterized

from app.distribution import launcher
from app.distribution.launcher import Launcher
from app.main import main

# Runs a program in every worker; `index` is the worker's, `start` counts its starts.
PREAMBLE = """
import json, os, pathlib, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index, root = config["task"]["index"], pathlib.Path(sys.argv[1])
job = config["task"]["type"]
(root / f"{job}{index}-{os.getpid()}").touch()
start = len(list(root.glob(f"{job}{index}-*")))
"""


@pytest.mark.process
class LauncherTest(parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def launch(
        self,
        program: str,
        *,
        workers: int = 2,
        servers: int = 0,
        restarts: int = 1,
        patience: float = 20,
    ) -> tuple[int, str]:
        command = [sys.executable, "-c", PREAMBLE + program, str(self.root)]
        with contextlib.redirect_stdout(io.StringIO()) as text:
            status = Launcher(workers, restarts, command, patience, servers).run()
        self.assertEqual(self.alive(), [])
        return status, text.getvalue()

    def alive(self) -> list[int]:
        """Workers that still run."""
        found = [int(path.name.partition("-")[2]) for path in self.root.iterdir()]
        return [pid for pid in found if pathlib.Path(f"/proc/{pid}").exists()]

    def test_workers_know_each_other_and_their_lines_say_whose_they_are(self) -> None:
        status, text = self.launch("print(json.dumps(config))", workers=3)
        self.assertEqual(status, 0)
        configs = [
            json.loads(line.partition("] ")[2])
            for line in sorted(text.splitlines())
            if line.startswith("[worker")
        ]
        self.assertEqual([c["task"]["index"] for c in configs], [0, 1, 2])
        addresses = configs[0]["cluster"]["worker"]
        self.assertLen(set(addresses), 3)
        self.assertTrue(all(a.startswith("127.0.0.1:") for a in addresses))
        self.assertIn("listen on every interface", text)

    def test_all_start_again_after_one_was_lost(self) -> None:
        program = "start == 1 and index == 1 and os.kill(os.getpid(), 9)\n"
        program += "start == 1 and sys.exit(75)"
        status, text = self.launch(program)
        self.assertEqual(status, 0)
        self.assertIn("worker 1 died of SIGKILL: starting all again", text)
        self.assertLen(list(self.root.iterdir()), 4)

    def test_restarts_come_to_an_end(self) -> None:
        status, _ = self.launch("os.kill(os.getpid(), 9)", restarts=2)
        self.assertEqual(status, 75)
        self.assertLen(list(self.root.iterdir()), 6)

    @parameterized.parameters(1, 2)
    def test_a_failure_for_good_stops_all_at_once(self, expected) -> None:
        program = f"sys.exit({expected}) if index else time.sleep(300)"
        started = time.monotonic()
        status, _ = self.launch(program)
        self.assertEqual(status, expected)
        self.assertLess(time.monotonic() - started, 20)
        self.assertLen(list(self.root.iterdir()), 2)

    def test_a_worker_that_hangs_is_killed_and_all_start_again(self) -> None:
        program = (
            "start == 1 and os.kill(os.getpid(), signal.SIGSTOP) if index"
            " else start == 1 and sys.exit(75)"
        )
        status, text = self.launch(program, patience=1)
        self.assertEqual(status, 0)
        self.assertIn("worker 1 hung", text)

    def test_a_pause_of_all_is_no_loss(self) -> None:
        status, _ = self.launch("sys.exit(75)")
        self.assertEqual(status, 75)
        self.assertLen(list(self.root.iterdir()), 2)

    def test_a_pause_for_a_loss_is_started_again(self) -> None:
        program = (
            "from app.distribution import lost\n"
            "start == 1 and index == 1 and lost.tell_launcher()\n"
            "sys.exit(75 if start == 1 else 0)"
        )
        status, text = self.launch(program)
        self.assertEqual(status, 0)
        self.assertIn("a task was lost: starting all again", text)

    @parameterized.parameters(signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    def test_a_launcher_that_is_stopped_leaves_nothing_running(self, number) -> None:
        program = (
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
            "(root / f'ready-{os.getpid()}').touch()\n"
            "time.sleep(300)"
        )
        command = [sys.executable, "-c", PREAMBLE + program, str(self.root)]
        code = f"from app.distribution.launcher import Launcher\nimport sys\nsys.exit(Launcher(2, 1, {command!r}, 20).run())"  # noqa: E501
        started = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.DEVNULL
        )
        self.wait_for(lambda: len(list(self.root.glob("ready-*"))) == 2)
        self.assertLen(set(self.alive()), 2)
        os.kill(started.pid, number)
        status = started.wait(60)
        self.assertEqual(status, -9 if number == signal.SIGKILL else 75)
        self.wait_for(lambda: not self.alive())

    def starts(self, task: str) -> int:
        return len(list(self.root.glob(f"{task}-*")))

    def test_a_worker_of_parameter_servers_is_started_again_alone(self) -> None:
        program = (
            "job == 'worker' and index == start == 1 and os.kill(os.getpid(), 9)\n"
            "while job == 'chief' and len(list(root.glob('worker1-*'))) < 2:\n"
            "    time.sleep(0.01)\n"
            "job == 'chief' or time.sleep(300)"
        )
        with mock.patch.object(launcher, "_FAREWELL", 0.2):
            status, text = self.launch(program, servers=1)
        self.assertEqual(status, 0)
        self.assertIn("worker 1 died of SIGKILL: starting it again (0 restart", text)
        self.assertEqual(self.starts("worker1"), 2)
        for task in ("chief0", "ps0", "worker0"):
            self.assertEqual(self.starts(task), 1)

    def test_all_start_again_without_a_parameter_server(self) -> None:
        program = (
            "job == 'ps' and start == index + 1 == 1 and os.kill(os.getpid(), 9)\n"
            "sys.exit(75 if start == 1 else 0)"
        )
        status, text = self.launch(program, servers=1)
        self.assertEqual(status, 0)
        self.assertIn("ps 0 died of SIGKILL: starting all again", text)
        self.assertEqual(self.starts("chief0"), 2)

    def test_without_restarts_the_others_go_on_without_a_lost_worker(self) -> None:
        program = (
            "job == 'worker' and index == 1 and os.kill(os.getpid(), 9)\n"
            "time.sleep(2 if job == 'chief' else 300)"
        )
        with mock.patch.object(launcher, "_FAREWELL", 0.2):
            status, _ = self.launch(program, servers=1, restarts=0, patience=0.5)
        self.assertEqual(status, 0)
        self.assertEqual(self.starts("worker1"), 1)

    def wait_for(self, condition) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


class CommandTest(parameterized.TestCase):
    @parameterized.parameters(
        (("--workers=2",), "received nothing after --"),
        (("--workers=2", "--", "evaluate"), "received evaluate after --"),
        (("--workers=0", "--", "train"), "--workers=0"),
        (("--restarts=-1", "--", "train"), "--restarts=-1"),
        (("--parameter_servers=-1", "--", "train"), "--parameter_servers=-1"),
    )
    def test_a_mistake_is_one_line(self, arguments, named) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as text:
            self.assertEqual(main(["launch", *arguments]), 2)
        self.assertIn(named, text.getvalue())
        self.assertLen(text.getvalue().splitlines(), 1)


if __name__ == "__main__":
    unittest.main()
