"""Mistakes in a search's flags, found before a process is started or a file written."""

import contextlib
import io
import pathlib

import tensorflow as tf
from absl.testing import parameterized

from app.configs import flags
from app.configs.commands import TuneConfig
from app.main import main
from app.searching import checks
from app.searching.processes import shares

RATE = "--search=learning_rate=1e-4..1e-1:log"


class ChecksTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.run_dir = pathlib.Path(self.get_temp_dir()) / "search"

    @parameterized.parameters(
        (("--search=learning_rat=1|2",), "learning_rate"),
        (("--search=model_args.dept=1|2",), "model_args.depth"),
        (("--search=optimizer=sgd|adm",), "adam"),
        (("--search=batch_size=0|64",), "--search=batch_size: 0 is never valid"),
        (("--search=momentum=0.5..1.5", "--optimizer=sgd"), "momentum"),
        (("--model=resnet", "--search=model_args.depth=9|20"), "6n+2"),
        (("--search=learning_rate=0..1:log",), "logarithm"),
        (("--search=learning_rate=1..0",), "LOW below HIGH"),
        (("--search=seed=1|2",), "--confirm"),
        (("--search=model_args=a|b",), "by argument"),
        (("--search=epochs=1|2",), "another tuner"),
        ((RATE, "--stop_after=1"), "--stop_after"),
        ((RATE, "--evaluate_every=2"), "--evaluate_every"),
        (
            (RATE, "--evaluate_every=10s"),
            "--evaluate_every=10s: expected at most 1, in",
        ),
        (("--search=evaluate_every=0|2", "--tuner=random"), "0 is never valid"),
        ((RATE, "--tuner=anneal"), "anneal"),
        ((RATE, "--tuner=grid"), ":step=S"),
        ((RATE, "--tuner=grow"), "model argument"),
        ((RATE, "--tuner=hyperband"), "multiple"),
        ((RATE, "--min_epochs=10"), "fewer"),
        ((RATE, "--trials=0"), "--trials=0"),
        ((RATE, "--workers=0"), "--workers=0"),
        ((RATE, "--confirm=1"), "--confirm=1"),
        ((RATE, "--finalists=2"), "--finalists=2 without --confirm"),
        ((RATE, "--tuner=random", "--sampler=random"), "expected --tuner=asha, or"),
        ((RATE, "--tuner=hyperband", "--min_epochs=2"), "--min_epochs=2.0 with"),
        ((RATE, "--tuner=random", "--factor=2"), "asha or hyperband"),
        ((RATE, "--repeats=5"), "--tuner=grow"),
        ((), "--search is missing"),
    )
    def test_a_mistake_is_one_line_and_leaves_nothing(
        self, arguments: tuple[str, ...], said: str
    ) -> None:
        given = ["tune", f"--run_dir={self.run_dir}", "--trials=4", *arguments]
        with contextlib.redirect_stderr(io.StringIO()) as text:
            self.assertEqual(main(given), 2)
        self.assertLen(text.getvalue().strip().splitlines(), 1, text.getvalue())
        self.assertIn(said, text.getvalue())
        self.assertFalse(self.run_dir.exists())

    def test_a_folder_with_other_files_is_refused(self) -> None:
        self.run_dir.mkdir()
        (self.run_dir / "thesis.txt").write_text("mine")
        with contextlib.redirect_stderr(io.StringIO()) as text:
            status = main(["tune", f"--run_dir={self.run_dir}", "--trials=4", RATE])
        self.assertEqual(status, 2)
        self.assertIn("no search", text.getvalue())

    def test_searched_arguments_join_the_fixed_ones(self) -> None:
        config = flags.parse(
            TuneConfig,
            [
                f"--run_dir={self.run_dir}",
                "--trials=4",
                "--model=mlp",
                "--model_args=depth=3,width=16",
                RATE,
            ],
        )
        made = checks.trial_config(
            config, {"model_args.depth": 5, "learning_rate": 0.01}, seed=7
        )
        self.assertEqual(made.model.model_args, "depth=5,width=16")
        self.assertEqual(made.optimizer.learning_rate, 0.01)
        self.assertEqual(made.training.seed, 7)

    @parameterized.parameters(
        (4, 2, [[0, 1], [2, 3]]),
        (5, 2, [[0, 1, 2], [3, 4]]),
        (1, 3, [[0], [0], [0]]),
        (0, 2, [[], []]),
    )
    def test_cores_are_divided(
        self, cores: int, workers: int, divided: list[list[int]]
    ) -> None:
        self.assertEqual(shares(range(cores), workers), divided)


if __name__ == "__main__":
    tf.test.main()
