"""KerasTuner has the private parts that the oracles rely on."""

import tempfile
import unittest

import keras_tuner
import numpy as np

from tuning import keras_tuner_internals as internals


def space() -> keras_tuner.HyperParameters:
    found = keras_tuner.HyperParameters()
    found.Choice("letter", ["a", "b", "c"], ordered=False)
    found.Int("depth", 1, 3)
    return found


class KerasTunerInternalsTest(unittest.TestCase):
    def oracle(self, kind, **options):
        """An oracle of ours over one of KerasTuner's, in a folder of its own."""
        if not issubclass(kind, internals.OpenOracle):
            kind = type("Made", (internals.OpenOracle, kind), {})
        made = kind(
            objective=keras_tuner.Objective("score", "max"),
            hyperparameters=space(),
            seed=7,
            **options,
        )
        folder = self.enterContext(tempfile.TemporaryDirectory())
        made._set_project_dir(folder, "search")
        made.verbose = 0
        return made

    def complete(self, oracle, trial, score: float) -> None:
        oracle.update_trial(trial.trial_id, {"score": score})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)

    def test_draws_are_a_function_of_their_state(self) -> None:
        oracle = self.oracle(keras_tuner.oracles.RandomSearchOracle, max_trials=50)
        before = oracle.draw_state
        first = oracle.drawn_values()
        self.assertNotEqual(oracle.draw_state, before)
        other = self.oracle(keras_tuner.oracles.RandomSearchOracle, max_trials=50)
        other.draw_state = before
        self.assertEqual(other.drawn_values(), first)
        self.assertGreater(oracle.most_draws, 1)

    def test_what_was_drawn_is_tried(self) -> None:
        oracle = self.oracle(keras_tuner.oracles.RandomSearchOracle, max_trials=50)
        values = {"letter": "a", "depth": 2}
        self.assertFalse(oracle.is_tried(values))
        oracle._tried_so_far.add(oracle._compute_values_hash(values))
        self.assertTrue(oracle.is_tried(values))
        self.assertTrue(oracle.is_tried(dict(values)))
        self.assertFalse(oracle.is_tried(values | {"depth": 3}))

    def test_trials_are_told_apart_by_what_tells(self) -> None:
        class Blind(internals.OpenOracle, keras_tuner.oracles.RandomSearchOracle):
            def telling(self, values):
                return {k: v for k, v in values.items() if k != "noted"}

        oracle = self.oracle(Blind, max_trials=50)
        one, two = (oracle._compute_values_hash({"noted": n, "x": 1}) for n in (1, 2))
        self.assertEqual(one, two)
        self.assertNotEqual(one, oracle._compute_values_hash({"x": 2}))

    def test_a_trial_is_kept_by_what_may_be_overridden(self) -> None:
        kept = []

        class Keeping(internals.OpenOracle, keras_tuner.oracles.RandomSearchOracle):
            def keep(self, trial):
                kept.append(trial.trial_id)

        oracle = self.oracle(Keeping, max_trials=50)
        trial = oracle.create_trial("tuner")
        self.assertIn(trial.trial_id, kept)
        self.assertIn(trial.trial_id, oracle.trials)
        self.assertEqual(oracle.ongoing_trials["tuner"], trial)

    def test_a_grid_goes_on_from_its_place(self) -> None:
        whole = self.oracle(internals.OpenGrid, max_trials=None)
        trials = [whole.create_trial(f"tuner{i}") for i in range(2)]
        for trial in trials:
            self.complete(whole, trial, 1.0)
        place = whole.grid_place()
        self.assertEqual(place["ordered"], [t.trial_id for t in trials])
        state = whole.get_state()
        again = self.oracle(internals.OpenGrid, max_trials=None)
        again.trials = dict(whole.trials)
        again.set_state(state)
        again.return_to(place)
        following = [o.create_trial("next").hyperparameters for o in (whole, again)]
        self.assertEqual(following[0].values, following[1].values)

    def test_bayesian_data_and_draws(self) -> None:
        oracle = self.oracle(internals.OpenBayesian, max_trials=None)
        answer = oracle.random_answer()
        self.assertEqual(answer["status"], "RUNNING")
        self.assertEqual(answer["values"].keys(), {"letter", "depth"})
        for i, score in enumerate((0.25, 0.75)):
            trial = oracle.create_trial(f"tuner{i}")
            self.complete(oracle, trial, score)
        points, scores = oracle.tried_points()
        self.assertEqual(points.shape, (2, 2))
        # KerasTuner minimizes.
        np.testing.assert_allclose(scores, [-0.25, -0.75])
        oracle.draw_from([1, 2])
        drawn = oracle._random_state.uniform()
        oracle.draw_from([1, 2])
        self.assertEqual(oracle._random_state.uniform(), drawn)

    def test_hyperband_has_brackets(self) -> None:
        oracle = self.oracle(internals.OpenHyperband, max_epochs=9, factor=3)
        self.assertEqual(oracle.bracket_count(), 3)
        sizes = [oracle.round_size(bracket, 0) for bracket in range(3)]
        self.assertEqual(sizes, [3, 5, 9])
        self.assertEqual(oracle.round_size(2, 1), 3)
        trial = oracle.create_trial("tuner")
        ((bracket, rounds),) = oracle.unfinished_brackets()
        self.assertEqual(bracket, 2)
        self.assertEqual(rounds[0], [{"past_id": None, "id": trial.trial_id}])
        self.assertEqual(rounds[1:], [[], []])

    def test_which_parameters_have_no_order(self) -> None:
        found = space()
        found.Boolean("flag")
        found.Choice("size", [1, 2], ordered=True)
        self.assertEqual(
            {p.name: internals.is_unordered(p) for p in found.space},
            {"letter": True, "depth": False, "flag": True, "size": False},
        )


if __name__ == "__main__":
    unittest.main()
