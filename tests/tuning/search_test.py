"""Searches as transactions: nothing lost, doubled or started over, whoever dies."""

import collections
from unittest import mock

import keras_tuner
import pytest
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from tests.tuning import simulation
from tests.tuning.simulation import EPOCHS, Simulation, failed, finished, signatures
from tuning import oracles
from tuning.config import SearchConfig
from tuning.runs import Outcome
from tuning.search import Job, Wait

TUNERS = ("random", "grid", "bayesian", "hyperband", "asha", "grow")


class SearchTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*TUNERS)
    @pytest.mark.slow
    def test_a_new_process_for_each_job_searches_the_same(self, tuner: str) -> None:
        together, apart = Simulation(tuner), Simulation(tuner)
        jobs = together.run()
        again = apart.run(between=apart.reopen)
        self.assertGreater(len(jobs), 5)
        self.assertEqual(signatures(jobs), signatures(again))
        self.assertEqual(together.search.ended(), "done")

    @parameterized.parameters(*TUNERS)
    @pytest.mark.slow
    def test_the_best_is_near_the_truth(self, tuner: str) -> None:
        search = Simulation(tuner)
        search.run()
        best = search.search.ranking()[0].run
        self.assertEqual(best.state, "finished")
        self.assertGreater(best.score, 0.75)

    def test_an_oracle_restored_as_keras_tuner_saves_it_loses_its_place(self) -> None:
        """The negative control: KerasTuner's own grid search ends after a restart."""
        grid, jobs = Simulation("grid"), 0
        theirs = keras_tuner.oracles.GridSearchOracle.set_state
        with mock.patch.object(oracles.GridOracle, "set_state", theirs):
            while job := grid.claim():
                grid.search.report(job, finished(job))
                grid.reopen()
                jobs += 1
        self.assertEqual(jobs, 1)

    @parameterized.parameters("asha", "hyperband")
    def test_no_epoch_is_trained_twice(self, tuner: str) -> None:
        trained: dict[str, float] = collections.defaultdict(float)
        for job in Simulation(tuner).run():
            self.assertGreater(job.until or EPOCHS, trained[job.run])
            trained[job.run] = job.until or EPOCHS
        counts = collections.Counter(trained.values())
        self.assertEqual(set(counts), {1.0, 3.0, 9.0})
        self.assertGreater(counts[1.0], counts[3.0])

    def test_asha_sends_one_in_three_on(self) -> None:
        runs = {job.run: job.until for job in Simulation("asha").run()}
        reached = collections.Counter(runs.values())
        self.assertLen(runs, 18)
        self.assertGreaterEqual(reached[9.0], 1)
        self.assertBetween(reached[3.0] + reached[9.0], 6, 10)

    def test_a_trial_whose_checkpoint_is_not_kept_is_never_gone_on_with(self) -> None:
        for tuner in ("asha", "hyperband"):
            search = Simulation(tuner)
            given_up: set[str] = set()
            while job := search.claim():
                self.assertNotIn(job.run, given_up)
                search.search.report(job, finished(job))
                needed = search.search.needed()
                given_up |= {r.name for r in search.search.runs()} - needed
            self.assertNotEmpty(given_up)

    def test_hyperband_ends_its_brackets_though_trials_fail(self) -> None:
        search = Simulation("hyperband")
        jobs = search.run(lambda j: failed(j) if j.run == "0002" else finished(j))
        self.assertIn(9, [job.until for job in jobs])
        by_run = {run.name: run for run in search.search.runs()}
        self.assertEqual(by_run["0002"].state, "failed")
        self.assertEqual(by_run["0002"].reason, "0002 broke")

    def test_failures_in_a_row_end_the_search_and_others_do_not(self) -> None:
        search = Simulation("random", max_failures=3)
        jobs = search.run(failed)
        self.assertLen(jobs, 3)
        self.assertIn("3 trials in a row", search.search.ended() or "")
        now_and_then = Simulation("random", max_failures=3)
        odd = now_and_then.run(lambda j: failed(j) if int(j.run) % 3 else finished(j))
        self.assertLen(odd, 12)

    def test_a_dead_takers_job_goes_to_the_next_who_asks(self) -> None:
        search = Simulation("random")
        mine = search.claim()
        taken = search.search.claim("other", lambda taker, run: taker == "me")
        self.assertEqual(taken, mine)
        another = search.search.claim("third", lambda taker, run: False)
        assert isinstance(another, Job) and isinstance(mine, Job)
        self.assertNotEqual(another.run, mine.run)

    def test_a_job_that_dies_twice_without_getting_further_has_failed(self) -> None:
        search = Simulation("random")
        job = search.claim()
        assert job is not None
        death = Outcome("died", [], 0.0, 0.0, "ended by SIGKILL")
        self.assertEqual(search.search.report(job, death).state, "interrupted")
        again = search.search.claim("me", lambda taker, run: taker == "")
        self.assertEqual(again, job)
        self.assertEqual(search.search.report(job, death).state, "failed")

    def test_a_job_that_gets_further_each_time_is_resumed_for_ever(self) -> None:
        search = Simulation("random")
        job = search.claim()
        assert job is not None
        for epochs in range(1, 6):
            death = Outcome("died", [(1.0, 0.5)], float(epochs), 0.0, "SIGKILL")
            self.assertEqual(search.search.report(job, death).state, "interrupted")
            search.search.claim("me", lambda taker, run: taker == "")

    def test_who_comes_when_all_is_taken_waits(self) -> None:
        search = Simulation("asha", trials=2)
        search.claim(), search.claim()
        answer = search.search.claim("third", lambda taker, run: False)
        self.assertIsInstance(answer, Wait)

    def test_more_trials_go_on_with_a_search_that_was_done(self) -> None:
        search = Simulation("random", trials=3)
        search.run()
        search._config = SearchConfig(
            tuner="random", search=simulation.SEARCHED, trials=5
        )
        search.reopen()
        self.assertLen(search.run(), 2)

    def test_grow_stops_where_a_layer_does_not_pay(self) -> None:
        search = Simulation("grow")
        search.run()
        best = search.search.ranking()[0].run
        self.assertEqual(best.flags["model_args.depth"], 3)

    def test_confirmation_ranks_by_the_mean_over_new_seeds(self) -> None:
        search = Simulation("random", confirm=2, finalists=2)
        before = Simulation("random")
        before.run()
        first, second = before.search.ranking()[:2]
        unlucky = first.run.name

        def outcome(job: Job) -> Outcome:
            if job.run.startswith(f"{unlucky}-"):
                return Outcome("finished", [(9.0, 0.1)], 9.0, 1.0)
            return finished(job)

        search.run(outcome)
        ranked = search.search.ranking()
        self.assertEqual(ranked[0].run.name, second.run.name)
        self.assertLen(ranked[0].scores, 2)
        self.assertIsNotNone(ranked[0].deviation)
        self.assertEqual(
            {run.name for run in search.search.runs() if run.confirms},
            {f"{r.run.name}-seed+{s}" for r in (first, second) for s in (1, 2)},
        )

    @parameterized.parameters(
        ({"tuner": "hyperband", "trials": 5}, 9, "multiple"),
        ({"tuner": "hyperband"}, 2.5, "whole number"),
        ({"tuner": "asha", "trials": 5, "min_epochs": 9.0}, 9, "fewer"),
    )
    def test_a_tuner_refuses_what_it_cannot_do(
        self, options: dict, epochs: float, said: str
    ) -> None:
        config = SearchConfig(search=simulation.SEARCHED, **options)
        space = Simulation("random").space
        with self.assertRaisesRegex(UserError, said):
            oracles.build(config, space, simulation.OBJECTIVE, epochs=epochs, seed=0)


if __name__ == "__main__":
    tf.test.main()
