"""Workers that meet, as threads: TensorFlow is not needed for it."""

import concurrent.futures
import json
import socket
import time
import unittest

from app.distribution import rendezvous
from app.distribution.cluster import Cluster
from base.errors import Interrupted


def free_addresses(count: int) -> tuple[str, ...]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return tuple(f"127.0.0.1:{port}" for port in ports)


class RendezvousTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addresses = free_addresses(3)

    def meet(self, *indices: int, timeout: float, later: float = 0.0) -> list[str]:
        """What each of these workers hears; all but the first come `later`."""

        def come(index: int) -> str:
            if index != indices[0]:
                time.sleep(later)
            try:
                rendezvous.meet(Cluster(self.addresses, index), timeout)
            except Interrupted as reason:
                return str(reason)
            return "met"

        with concurrent.futures.ThreadPoolExecutor() as pool:
            return list(pool.map(come, indices))

    def test_all_meet_whoever_comes_first(self) -> None:
        for order in ((0, 1, 2), (2, 1, 0)):
            said = self.meet(*order, timeout=20, later=0.5)
            self.assertEqual(said, ["met"] * 3)

    def test_the_missing_one_is_named_to_all_in_time(self) -> None:
        started = time.monotonic()
        for said in self.meet(0, 2, timeout=1.5):
            self.assertIn(f"worker 1 ({self.addresses[1]}) did not come", said)
        self.assertLess(time.monotonic() - started, 5)

    def test_two_missing_ones_and_worker_0_are_named(self) -> None:
        (said,) = self.meet(0, timeout=0.5)
        self.assertRegex(said, r"worker 1 \(.*\) and worker 2 \(.*\) did not come")
        for said in self.meet(1, 2, timeout=0.5):
            self.assertIn(f"worker 0 ({self.addresses[0]}) did not come", said)

    def test_one_that_came_and_died_is_missing(self) -> None:
        cluster = Cluster(self.addresses, 0)
        host, port = self.addresses[0].split(":")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            chief = pool.submit(rendezvous.meet, cluster, 3.0)
            greeting = {"workers": list(self.addresses), "index": 1}
            end = time.monotonic() + 3
            while True:
                try:
                    dead = socket.create_connection((host, int(port)))
                    break
                except OSError:
                    self.assertLess(time.monotonic(), end)
            dead.sendall(json.dumps(greeting).encode() + b"\n")
            dead.close()
            (said,) = self.meet(2, timeout=3.0)
            self.assertIn("worker 1", said)
            self.assertNotIn("worker 2", said)
            with self.assertRaisesRegex(Interrupted, "worker 1 "):
                chief.result()

    def test_strangers_are_no_workers(self) -> None:
        other = Cluster((self.addresses[0], "127.0.0.1:1", "127.0.0.1:2"), 1)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            stranger = pool.submit(rendezvous.meet, other, 2.0)
            (said,) = self.meet(0, timeout=1.5)
            self.assertRegex(said, "worker 1 .* and worker 2 ")
            with self.assertRaises(Interrupted):
                stranger.result()

    def test_a_port_that_is_taken_is_named(self) -> None:
        host, port = self.addresses[0].split(":")
        with socket.create_server((host, int(port))):
            (said,) = self.meet(0, timeout=5)
        self.assertIn(f"port {port}", said)


if __name__ == "__main__":
    unittest.main()
