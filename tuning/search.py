"""A search as transactions on one saved state: claim a job, run it, report it.

Any number of processes, on any number of machines, may do so at once, and any of them
may die at any instant: the state is read and replaced as a whole, under a lock, by the
store that is handed in; a job whose taker has died is taken over by whoever asks next.
What it means to run a job is not known here.
"""

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tuning import confirmation, restorable
from tuning.keras_tuner_internals import Trial
from tuning.objective import Objective
from tuning.restorable import COMPLETED, FAILED, IDLE, RestorableOracle
from tuning.runs import Outcome, TrialRun
from tuning.space import Space

# A job that ends without a word is resumed so often before it counts as failed, unless
# it got further than the time before.
_ATTEMPTS = 2

State = dict[str, Any]


class Store(Protocol):
    """Where the state is kept."""

    def transaction(self) -> contextlib.AbstractContextManager[State]:
        """The state, alone; what it is when the `with` ends well is saved."""

    def read(self) -> State:
        """The state as it was saved last."""


@dataclasses.dataclass(frozen=True)
class Job:
    """Something to train.

    Attributes:
      run: the name of the run, under which it is trained or gone on with.
      trial: the oracle's trial; None in a confirmation.
      flags: the searched flags.
      seed_offset: is added to the seed.
      until: epochs after which to pause; None trains to the end.
    """

    run: str
    trial: str | None
    flags: dict[str, Any]
    seed_offset: int
    until: float | None


class Wait:
    """There is no job now, but one may come when others have ended."""


class Search:
    """The jobs of one search.

    Args:
      store: of the state.
      oracle: as the search was begun with.
      space: what is searched.
      objective: what is to be best.
      max_failures: failed trials in a row that end the search.
      confirm: seeds by which the best are confirmed; 0 for none.
      finalists: how many are.
    """

    def __init__(
        self,
        store: Store,
        oracle: RestorableOracle,
        space: Space,
        objective: Objective,
        *,
        max_failures: int,
        confirm: int,
        finalists: int,
    ) -> None:
        self._store = store
        self._oracle = oracle
        self._space = space
        self._objective = objective
        self._max_failures = max_failures
        self._confirm = confirm
        self._finalists = finalists

    def new_state(self) -> State:
        """The state of a search that has not begun."""
        return {
            "oracle": self._oracle.to_json(),
            "runs": {},
            "run_of": {},
            "claims": {},
            "failures": 0,
            "ended": None,
        }

    def claim(
        self, taker: str, is_gone: Callable[[str, str], bool]
    ) -> Job | Wait | None:
        """The next job, which from now on is the taker's.

        Args:
          taker: name of the asking process.
          is_gone: whether a job is abandoned, given its taker ("" for one that was
            given back) and its run.

        Returns:
          A job; Wait; or None when the search is over.
        """
        with self._store.transaction() as state:
            if state["ended"] and state["ended"] != "done":
                return None
            for claim in state["claims"].values():
                if is_gone(claim["taker"], claim["job"]["run"]):
                    claim["taker"] = taker
                    return Job(**claim["job"])
            job = self._next_job(state)
            if isinstance(job, Job):
                state["claims"][job.run] = {
                    "taker": taker,
                    "attempts": 0,
                    "epochs": 0.0,
                    "job": dataclasses.asdict(job),
                }
            return job

    def report(self, job: Job, outcome: Outcome) -> TrialRun:
        """Records how a job ended; returns its run as it stands now."""
        with self._store.transaction() as state:
            claim = state["claims"][job.run]
            if outcome.state == "died":
                outcome = self._judge_death(claim, outcome)
            run = TrialRun.from_json(state["runs"][job.run])
            run.record(outcome, self._objective)
            if outcome.state == "interrupted":
                claim["taker"] = ""
            else:
                del state["claims"][job.run]
                self._count_failures(state, outcome)
                if job.trial is not None:
                    self._tell_oracle(state, job.trial, outcome)
            state["runs"][job.run] = run.to_json()
        return run

    def runs(self) -> list[TrialRun]:
        """All runs so far, confirmations included, in the order of their beginning."""
        return [
            TrialRun.from_json(value) for value in self._store.read()["runs"].values()
        ]

    def ended(self) -> str | None:
        """`done`, or why the search was given up; None while it goes on."""
        ended: str | None = self._store.read()["ended"]
        return ended

    def ranking(self) -> list[confirmation.Ranked]:
        """The runs with a score, the best first, by what is known by now."""
        state = self._store.read()
        return self._ranking(state)

    def needed(self) -> set[str]:
        """Runs whose checkpoints may be needed to go on with the search."""
        state = self._store.read()
        self._oracle.restore(state["oracle"])
        open_trials = self._oracle.may_go_on()
        return set(state["claims"]) | {state["run_of"][t] for t in open_trials}

    def _next_job(self, state: State) -> Job | Wait | None:
        self._oracle.restore(state["oracle"])
        while True:
            trial = self._oracle.create_trial(uuid.uuid4().hex)
            if trial.status != restorable.RUNNING:
                break
            job = self._job_of(state, trial)
            if state["runs"][job.run]["state"] != "failed":
                state["oracle"] = self._oracle.to_json()
                return job
            # It was to go on with a run that failed, since no other was left.
            self._end_trial(trial.trial_id, FAILED, state["runs"][job.run]["reason"])
            state["oracle"] = self._oracle.to_json()
        # Asking in vain changes nothing: how often one did is a matter of timing.
        if trial.status == IDLE or state["claims"]:
            return Wait()
        return self._next_confirmation(state)

    def _next_confirmation(self, state: State) -> Job | Wait | None:
        if self._confirm:
            finalists = self._ranking(state, confirmed=False)[: self._finalists]
            own = (run for run in state["runs"].values() if not run["confirms"])
            used = max((run["seed_offset"] for run in own), default=0)
            for ranked in finalists:
                for offset in range(used + 1, used + self._confirm + 1):
                    name = confirmation.name_of(ranked.run.name, offset)
                    if name not in state["runs"]:
                        run = TrialRun(name, ranked.run.flags, offset, ranked.run.name)
                        state["runs"][name] = run.to_json()
                        return Job(name, None, run.flags, offset, None)
        state["ended"] = "done"
        return None

    def _job_of(self, state: State, trial: Trial) -> Job:
        """The job of an oracle's new trial, in a run of its own or an earlier one's."""
        values = trial.hyperparameters.values
        earlier = restorable.continues(trial)
        flags = restorable.flags_of(self._space, trial)
        seed_offset = int(values.get("tuner/repeat", 0))
        if earlier is None:
            own = sum(not run["confirms"] for run in state["runs"].values())
            name = f"{own + 1:04d}"
            state["runs"][name] = TrialRun(name, flags, seed_offset).to_json()
        else:
            name = state["run_of"][earlier]
        state["run_of"][trial.trial_id] = name
        return Job(
            run=name,
            trial=trial.trial_id,
            flags=flags,
            seed_offset=seed_offset,
            until=values.get("tuner/epochs"),
        )

    def _judge_death(self, claim: State, outcome: Outcome) -> Outcome:
        """Whether a job that ended without a word is given another chance."""
        if outcome.epochs > claim["epochs"]:
            claim["epochs"], claim["attempts"] = outcome.epochs, 0
        claim["attempts"] += 1
        state = "interrupted" if claim["attempts"] < _ATTEMPTS else "failed"
        return dataclasses.replace(outcome, state=state)

    def _count_failures(self, state: State, outcome: Outcome) -> None:
        failed = outcome.state == "failed"
        state["failures"] = state["failures"] + 1 if failed else 0
        if state["failures"] >= self._max_failures:
            state["ended"] = (
                f"{state['failures']} trials in a row failed (--max_failures), the last"
                f" one by: {outcome.reason}"
            )

    def _tell_oracle(self, state: State, trial_id: str, outcome: Outcome) -> None:
        self._oracle.restore(state["oracle"])
        if outcome.state == "failed":
            self._end_trial(trial_id, FAILED, outcome.reason)
        else:
            for epoch, value in outcome.history:
                metrics = {self._objective.tag: value}
                self._oracle.update_trial(trial_id, metrics, step=epoch)
            self._end_trial(trial_id, COMPLETED, None)
        state["oracle"] = self._oracle.to_json()

    def _end_trial(self, trial_id: str, status: str, message: str | None) -> None:
        trial = self._oracle.get_trial(trial_id)
        trial.status, trial.message = status, message
        self._oracle.end_trial(trial)

    def _ranking(
        self, state: Mapping[str, Any], *, confirmed: bool = True
    ) -> list[confirmation.Ranked]:
        self._oracle.restore(state["oracle"])
        winner = self._oracle.winner()
        runs = [TrialRun.from_json(value) for value in state["runs"].values()]
        return confirmation.ranking(
            runs,
            self._objective,
            chosen=None if winner is None else state["run_of"][winner],
            confirmed=confirmed,
        )
