"""What has become of a trial, from its run folder, its exit status and its log."""

import pathlib
import re
import signal

from app.reporting.metrics import MetricsLog
from app.runs.folder import RunFolder
from base.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USER_MISTAKE
from tuning.objective import Objective
from tuning.runs import Outcome

# results.json rounds epochs to 4 digits.
_ROUNDING = 1e-3
_NO_MEMORY = re.compile(
    r"MemoryError|ResourceExhausted|bad_alloc|[Oo]ut of memory|OOM when|"
    r"[Cc]annot allocate memory"
)
_IN_USE = " is in use by "
_EXCEPTION = re.compile(r"^[\w.]*(Error|Exception)\b.*: ", re.MULTILINE)
# Of a log, what may tell why the last start in it ended.
_TAIL_BYTES = 20_000
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
    log: pathlib.Path,
) -> Outcome:
    """The outcome of a job whose process has ended.

    Args:
      folder: of the run.
      objective: what is to be best.
      until: epochs at which it was to pause, or None.
      status: of the process; negative for a signal.
      log: of the run.
    """
    if status in (EXIT_DONE, EXIT_INTERRUPTED):
        done = already(folder, objective, until)
        if done is None:
            return _outcome(folder, objective, "interrupted")
        if not done.history:
            reason = f"no finite {objective.tag} in {folder.metrics}"
            return _outcome(folder, objective, "failed", reason)
        return done
    said = _last_words(log)
    if status == EXIT_USER_MISTAKE and _IN_USE in said.rpartition("\natelier: ")[2]:
        # An orphan of a search that was killed is just letting go of the folder.
        return _outcome(folder, objective, "interrupted")
    if status < 0 or status > 2:
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        reason = f"ended by {name}"
        if _NO_MEMORY.search(said):
            reason += ": out of memory"
        elif status == -signal.SIGKILL:
            reason += ", as the kernel does when memory runs out"
        return _outcome(folder, objective, "died", reason)
    return _outcome(folder, objective, "failed", _reason(said, status))


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


def _reason(said: str, status: int) -> str:
    """Why `train` gave up, in its own words if it found some."""
    own = [line for line in said.splitlines() if line.startswith("atelier: ")]
    if _NO_MEMORY.search(said) and not own:
        return f"out of memory: {_exception(said)}"
    if own:
        kind = "invalid flags: " if status == EXIT_USER_MISTAKE else ""
        return (kind + own[-1].removeprefix("atelier: "))[:_LONGEST_REASON]
    return _exception(said)


def _exception(said: str) -> str:
    found = list(_EXCEPTION.finditer(said))
    text = said[found[-1].start() :] if found else said.strip().rpartition("\n")[2]
    return " ".join(text.split())[:_LONGEST_REASON] or "it said nothing"


def _last_words(log: pathlib.Path) -> str:
    if not log.exists():
        return ""
    with open(log, "rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return file.read().decode(errors="replace")
