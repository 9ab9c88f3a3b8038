"""Proposals are functions of what was tried, and lie where that was good."""

import dataclasses
import math
import statistics

import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests.tuning import simulation
from tests.tuning.simulation import KINDS, Simulation, signatures
from tuning import parzen, space
from tuning.asha import STARTUP
from tuning.parzen import Tried
from tuning.restorable import hyperparameters
from tuning.space import Kind

_TRIALS = 60
_SGD = {"optimizer": "sgd", "momentum": 0.9}
_SPACE = hyperparameters(space.parse(simulation.CONTINUOUS, KINDS, {}))


def distances(sampler: str) -> list[float]:
    """Of each configuration's learning rate from the best, in powers of ten."""
    search = Simulation("asha", simulation.CONTINUOUS, trials=_TRIALS, sampler=sampler)
    first = {job.run: job for job in reversed(search.run())}
    return [abs(math.log10(j.flags["learning_rate"]) + 2) for j in first.values()]


def median_rate(tried: list[Tried], direction: str) -> float:
    """Of the learning rates that are proposed after these."""
    rest = {"optimizer": "adamw", "model_args.depth": 2}
    tried = [dataclasses.replace(t, values={**t.values, **rest}) for t in tried]
    return statistics.median(
        parzen.propose(_SPACE, tried, direction=direction, seed=(1, n))["learning_rate"]
        for n in range(20)
    )


class ParzenTest(tf.test.TestCase, parameterized.TestCase):
    @pytest.mark.slow
    def test_later_configurations_lie_nearer_to_the_best(self) -> None:
        """And random ones, the negative control, do not."""
        guided, random = (distances(sampler)[STARTUP:] for sampler in ("tpe", "random"))
        self.assertLen(guided, _TRIALS - STARTUP)
        self.assertLess(1.5 * sum(guided), sum(random))

    @pytest.mark.slow
    def test_a_new_process_for_each_job_proposes_the_same(self) -> None:
        together, apart = (
            Simulation("asha", simulation.CONTINUOUS, trials=30) for _ in range(2)
        )
        jobs = together.run()
        again = apart.run(between=apart.reopen)
        self.assertEqual(signatures(jobs), signatures(again))

    def test_where_others_failed_less_is_tried(self) -> None:
        tried = [
            Tried({"learning_rate": 10.0 ** (n / 2 - 5)}, rung=0, score=n / 12)
            for n in range(12)
        ]
        failures = [Tried({"learning_rate": 2.0 + n / 4}) for n in range(20)]
        self.assertLess(median_rate(tried + failures, "max"), median_rate(tried, "max"))

    @parameterized.parameters(("min", 1.0), ("max", -1.0))
    def test_scores_count_in_their_direction(self, direction: str, sign: float) -> None:
        tried = [
            Tried({"learning_rate": 10.0 ** -(n % 6)}, rung=0, score=sign * (n % 6))
            for n in range(30)
        ]
        self.assertGreater(median_rate(tried, direction), 1e-2)

    def test_a_higher_rung_counts_more_than_a_better_score(self) -> None:
        far = [Tried({"learning_rate": 1e-5}, rung=1, score=0.1) for _ in range(5)]
        near = [Tried({"learning_rate": 1.0}, rung=0, score=0.9) for _ in range(25)]
        self.assertLess(median_rate(far + near, "max"), 1e-3)

    def test_flags_of_every_kind_come_back_as_they_were_given(self) -> None:
        kinds = {
            "nesterov": Kind(bool),
            "ema": Kind(float, optional=True),
            "steps": Kind(int),
            "width": Kind(int),
            "rate": Kind(float),
        }
        texts = ("nesterov=true|false", "ema=none|0.9", "steps=1..1000:log")
        texts += ("width=16..64:step=16", "rate=0.1..0.5:step=0.1")
        found = space.parse(texts, kinds, {})
        searched = hyperparameters(found)
        tried = []
        for n in range(20):  # each proposal is what the next one goes by
            values = parzen.propose(searched, tried, direction="max", seed=(5, n))
            tried.append(Tried(values, rung=0, score=float(values["width"])))
            tidy = {d.name: d.tidy(values[d.name]) for d in found}
            self.assertIsInstance(tidy["nesterov"], bool)
            self.assertIn(tidy["ema"], (None, 0.9))
            self.assertIsInstance(tidy["steps"], int)
            self.assertBetween(tidy["steps"], 1, 1000)
            self.assertIn(tidy["width"], (16, 32, 48, 64))
            self.assertIn(tidy["rate"], (0.1, 0.2, 0.3, 0.4, 0.5))
        self.assertEqual({t.values["nesterov"] for t in tried}, {True, False})
        widths = [t.values["width"] for t in tried]
        self.assertGreater(sum(widths[10:]), sum(widths[:10]))  # the score

    def test_values_are_of_the_space_and_heed_its_conditions(self) -> None:
        tried = [
            Tried(
                {
                    "learning_rate": 1e-3 * (n + 1),
                    "model_args.depth": 1 + n % 4,
                    **({"optimizer": "adamw"} if n % 2 else _SGD),
                },
                rung=0,
                score=n / 30,
            )
            for n in range(30)
        ]
        seen = set()
        for n in range(40):
            values = parzen.propose(_SPACE, tried, direction="max", seed=(3, n))
            self.assertEqual("momentum" in values, values["optimizer"] == "sgd")
            self.assertIn(values.get("momentum", 0.8), (0.8, 0.9))
            self.assertIn(values["model_args.depth"], (1, 2, 3, 4))
            self.assertBetween(values["learning_rate"], 1e-6, 1e1)
            seen.add(values["optimizer"])
        self.assertEqual(seen, {"sgd", "adamw"})
