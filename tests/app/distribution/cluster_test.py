"""Who takes part in a run, as the environment says it."""

import json
import pathlib
import tempfile
import unittest.mock

from absl.testing import parameterized

from app.distribution import cluster
from app.distribution.cluster import ALONE, Cluster, from_environment
from base.errors import UserError

TWO = {"worker": ["10.0.0.1:1", "10.0.0.2:2"]}


def tf_config(jobs: dict, kind: str, index: int) -> dict[str, str]:
    task = {"type": kind, "index": index}
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": task})}


class FromEnvironmentTest(parameterized.TestCase):
    @parameterized.parameters(
        ({},),
        ({"TF_CONFIG": ""},),
        ({"SLURM_STEP_NUM_TASKS": "1"},),
        (tf_config({"worker": ["10.0.0.1:1"]}, "worker", 0),),
    )
    def test_a_process_alone(self, environment) -> None:
        self.assertEqual(from_environment(environment), ALONE)

    def test_a_worker_of_tf_config(self) -> None:
        found = from_environment(tf_config(TWO, "worker", 1))
        self.assertEqual(found, Cluster(("10.0.0.1:1", "10.0.0.2:2"), 1))
        self.assertFalse(found.is_chief)
        self.assertFalse(found.is_local)

    def test_a_job_called_chief_comes_first(self) -> None:
        jobs = {"chief": ["[::1]:1"], "worker": ["localhost:2", "127.0.0.2:3"]}
        found = from_environment(tf_config(jobs, "worker", 1))
        self.assertEqual(found.index, 2)
        self.assertEqual(found.workers[0], "[::1]:1")
        self.assertTrue(found.is_local)

    @parameterized.parameters(
        Cluster(("127.0.0.1:1", "127.0.0.1:2"), 1),
        Cluster(("127.0.0.1:1",), 0, ("127.0.0.1:2", "[::1]:3"), "localhost:4", "ps"),
        Cluster(("127.0.0.1:1",), 0, ("127.0.0.1:2",), "127.0.0.1:3", "chief"),
    )
    def test_tf_config_is_read_as_it_is_written(self, given) -> None:
        self.assertTrue(given.is_local)
        self.assertEqual(given.is_chief, given.job == "chief")
        self.assertEqual(from_environment({"TF_CONFIG": given.to_tf_config()}), given)

    @parameterized.parameters(
        ("nonsense", "expected JSON"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {}}', "expected JSON"),
        (tf_config(TWO, "worker", 2)["TF_CONFIG"], "expected 0 to 1"),
        (tf_config(TWO | {"evaluator": ["c:3"]}, "worker", 0)["TF_CONFIG"], "'eval"),
        (tf_config(TWO, "ps", 0)["TF_CONFIG"], "'ps'"),
        (tf_config(TWO | {"ps": ["c:3"]}, "worker", 0)["TF_CONFIG"], "one chief"),
    )
    def test_what_cannot_be_understood(self, text, named) -> None:
        with self.assertRaisesRegex(UserError, named):
            from_environment({"TF_CONFIG": text})

    def test_the_tasks_of_a_slurm_step(self) -> None:
        scontrol = (
            pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "scontrol"
        )
        scontrol.write_text("#!/bin/sh\nprintf 'n1\\nn2\\n'\n")
        scontrol.chmod(0o755)
        environment = {
            "SLURM_STEP_NUM_TASKS": "3",
            "SLURM_STEP_NODELIST": "n[1-2]",
            "SLURM_STEP_TASKS_PER_NODE": "2,1",
            "SLURM_JOB_ID": "7",
            "SLURM_PROCID": "2",
        }
        with unittest.mock.patch.dict("os.environ", {"PATH": str(scontrol.parent)}):
            found = from_environment(environment)
            served = from_environment(environment, parameter_servers=1)
            with self.assertRaisesRegex(UserError, "expected 4 or more"):
                from_environment(environment, parameter_servers=2)
        self.assertEqual(found, Cluster(("n1:20448", "n1:20449", "n2:20448"), 2))
        self.assertEqual(served.jobs["ps"], ["n1:20449"])
        self.assertEqual((served.job, served.index), ("worker", 0))
        self.assertEqual(served.name(0), "worker 0 (n2:20448)")

    def test_slurm_without_its_client_is_named(self) -> None:
        environment = {
            "SLURM_STEP_NUM_TASKS": "2",
            "SLURM_STEP_NODELIST": "n[1-2]",
            "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
            "SLURM_JOB_ID": "7",
            "SLURM_PROCID": "0",
        }
        with unittest.mock.patch.dict("os.environ", {"PATH": ""}):
            with self.assertRaisesRegex(UserError, "scontrol"):
                from_environment(environment)

    def test_tasks_per_node(self) -> None:
        self.assertEqual(cluster.tasks_per_node("2(x3),1"), [2, 2, 2, 1])
        with self.assertRaises(UserError):
            cluster.tasks_per_node("two")
