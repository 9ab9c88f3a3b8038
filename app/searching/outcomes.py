"""What has become of a trial, from its run folder, its exit status and its failure."""

import pathlib
import signal

from app.reporting.metrics import MetricsLog
from app.runs import failures
from app.runs.folder import RunFolder
from base import files
from base.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USER_MISTAKE, InUse
from tuning.objective import Objective
from tuning.runs import Outcome

# results.json rounds epochs to 4 digits.
_ROUNDING = 1e-3
# What a reason begins with, where the message alone does not tell.
_BEGINNINGS = {
    failures.USER_MISTAKE: "invalid flags: ",
    failures.OUT_OF_MEMORY: "out of memory: ",
}
_LONGEST_REASON = 300


def already(
    folder: RunFolder, objective: Objective, until: float | None
) -> Outcome | None:
    """The outcome of a job that was done already, before it could be reported."""
    results = folder.read_results()
    if results.get("state") == "finished":
        return _outcome(folder, objective, "finished")
    if (
        until is not None
        and results.get("state") == "interrupted"
        and results["epochs"] >= until - _ROUNDING
    ):
        return _outcome(folder, objective, "paused")
    return None


def of_exit(
    folder: RunFolder,
    objective: Objective,
    until: float | None,
    status: int,
    failure: pathlib.Path,
) -> Outcome:
    """The outcome of a job whose process has ended.

    Args:
      folder: of the run.
      objective: what is to be best.
      until: epochs at which it was to pause, or None.
      status: of the process; negative for a signal.
      failure: where the process has written what ended it, if it could.
    """
    said = files.read_json(failure) if failure.exists() else {}
    kind = said.get("kind", "")
    if kind == InUse.kind:
        # An orphan of a search that was killed is just letting go of the folder.
        return _outcome(folder, objective, "interrupted")
    if kind == failures.DISK_FULL:
        return _outcome(folder, objective, "died", said["message"])
    if status in (EXIT_DONE, EXIT_INTERRUPTED):
        return _of_orderly_exit(folder, objective, until)
    if status < 0 or status > EXIT_USER_MISTAKE:
        return _outcome(folder, objective, "died", _killed(status))
    if not said:
        reason = f"exit status {status}, and it said nothing"
        return _outcome(folder, objective, "failed", reason)
    reason = _BEGINNINGS.get(kind, "") + said["message"]
    return _outcome(folder, objective, "failed", reason[:_LONGEST_REASON])


def _of_orderly_exit(
    folder: RunFolder, objective: Objective, until: float | None
) -> Outcome:
    done = already(folder, objective, until)
    if done is None:
        return _outcome(folder, objective, "interrupted")
    if not done.history:
        reason = f"no finite {objective.tag} in {folder.metrics}"
        return _outcome(folder, objective, "failed", reason)
    return done


def _killed(status: int) -> str:
    """Why a process died that could not say so itself."""
    if status > 0:
        return f"ended by exit status {status}"
    reason = f"ended by {signal.Signals(-status).name}"
    if status == -signal.SIGKILL:
        reason += ", as the kernel does when memory runs out"
    elif status == -signal.SIGABRT:
        reason += ", as C++ does when it is given no memory"
    return reason


def _outcome(
    folder: RunFolder, objective: Objective, state: str, reason: str = ""
) -> Outcome:
    lines = MetricsLog(folder.metrics).read()
    results = folder.read_results()
    last = lines[-1] if lines else {"epoch": 0.0, "seconds": 0.0}
    return Outcome(
        state=state,
        history=objective.history(lines),
        epochs=max(float(results.get("epochs") or 0.0), float(last["epoch"])),
        seconds=max(float(results.get("seconds") or 0.0), float(last["seconds"])),
        reason=reason,
    )
