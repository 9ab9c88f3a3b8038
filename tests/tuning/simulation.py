"""A search in memory, whose trials are a formula: any tuner, in milliseconds."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tuning import oracles, space
from tuning.config import SearchConfig
from tuning.objective import Objective
from tuning.runs import Outcome
from tuning.search import Job, Search, Wait
from tuning.space import Kind

KINDS = {
    "learning_rate": Kind(float),
    "batch_size": Kind(int),
    "optimizer": Kind(str, ("sgd", "adamw")),
    "momentum": Kind(float),
    "model_args.depth": Kind(int),
}
SEARCHED = (
    "learning_rate=1e-4..1e-1:log:step=10",
    "optimizer=sgd|adamw",
    "momentum=0.8|0.9 if optimizer=sgd",
    "model_args.depth=1..4",
)
# The same without an end of values.
CONTINUOUS = ("learning_rate=1e-6..1e1:log", *SEARCHED[1:])
OBJECTIVE = Objective("validation/accuracy", "max")
EPOCHS = 9


class MemoryStore:
    """A state that is as durable as JSON: nothing survives but what can be written."""

    def __init__(self) -> None:
        self.text = "{}"

    @contextlib.contextmanager
    def transaction(self) -> Iterator[dict[str, Any]]:
        state = self.read()
        yield state
        self.text = json.dumps(state, allow_nan=False)

    def read(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.text)
        return state


class Simulation:
    """A search of one tuner; `reopen` is what a new process would find."""

    def __init__(
        self, tuner: str, searched: Sequence[str] = SEARCHED, **options: Any
    ) -> None:
        limits = {"random": 12, "bayesian": 13, "asha": 18, "grow": 40}
        self._config = SearchConfig(
            tuner=tuner,
            search=tuple(searched),
            **{"trials": limits.get(tuner), **options},
        )
        self.store = MemoryStore()
        self.space = space.parse(searched, KINDS, {})
        self.search = self.reopen()
        self.store.text = json.dumps(self.search.new_state())

    def reopen(self) -> Search:
        """The search anew, from its configuration and what was saved."""
        config = self._config
        self.search = Search(
            self.store,
            oracles.build(config, self.space, OBJECTIVE, epochs=EPOCHS, seed=0),
            self.space,
            OBJECTIVE,
            max_failures=config.max_failures,
            confirm=config.confirm,
            finalists=config.finalists,
        )
        return self.search

    def claim(self) -> Job | None:
        """The next job of a lone worker, who never has to wait."""
        job = self.search.claim("me", lambda taker, run: False)
        assert not isinstance(job, Wait)
        return job

    def run(
        self,
        outcome_of: Callable[[Job], Outcome] | None = None,
        between: Callable[[], Any] = lambda: None,
    ) -> list[Job]:
        """All jobs, one after the other."""
        jobs = []
        while job := self.claim():
            between()
            self.search.report(job, (outcome_of or finished)(job))
            jobs.append(job)
        return jobs


def score(job: Job, epoch: float) -> float:
    """What a trial of these flags gives: best at 0.01, adamw, 3 layers, late."""
    flags = job.flags
    return (
        0.9
        - 0.1 * abs(math.log10(flags["learning_rate"]) + 2)
        - 0.05 * (flags["optimizer"] == "sgd")
        + 0.03 * min(flags["model_args.depth"], 3)
        - 0.2 / epoch
        + 0.001 * job.seed_offset
    )


def finished(job: Job) -> Outcome:
    """A job that ended as it should."""
    epochs = job.until or EPOCHS
    history = [(float(e), score(job, e)) for e in range(1, int(epochs) + 1)]
    return Outcome("finished" if epochs == EPOCHS else "paused", history, epochs, 1.0)


def failed(job: Job) -> Outcome:
    """A job that did not."""
    return Outcome("failed", [], 0.0, 0.0, f"{job.run} broke")


def signatures(jobs: Sequence[Job]) -> list[tuple[Any, ...]]:
    """What is to be equal in two searches."""
    return [(j.run, j.seed_offset, j.until, *j.flags.items()) for j in jobs]
