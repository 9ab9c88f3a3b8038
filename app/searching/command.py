"""`atelier tune`, from its flags to the winner: begins a search, or goes on with it."""

import contextlib
import pathlib
import sys

from app.configs.commands import TuneConfig
from app.searching import checks, reports
from app.searching.agent import Agent
from app.searching.folder import AgentMark, SearchFolder, StateFile
from app.searching.processes import Starter
from app.searching.trial import Train
from base import files
from base.cores import available_cores
from base.errors import EXIT_DONE, EXIT_USER_MISTAKE, TrainingFailed, UserError
from tuning import objective as objectives
from tuning import oracles
from tuning.objective import Objective
from tuning.search import Search
from tuning.space import Space

_VERSION = 1


def tune(config: TuneConfig, train: Train) -> int:
    """Searches until there is nothing left to do.

    Args:
      config: of the search.
      train: the command that trains a trial.

    Raises:
      UserError: the flags, the space or the folder are not fit; nothing was started.
      Interrupted: paused; the same command goes on.
      TrainingFailed: too many trials in a row have failed.
    """
    assert config.run.run_dir is not None  # RunConfig refuses a missing one
    folder = SearchFolder(pathlib.Path(config.run.run_dir).resolve())
    folder.require_fit()
    space = checks.read_space(config)
    _oracle(config, space, Objective("validation/loss", "min"))
    if folder.state.exists():
        folder.require_same(config)
    starter = Starter(config.agent, train)
    with contextlib.closing(AgentMark(folder)) as mark:
        search, objective, threads = _open(config, folder, space, starter)
        report = reports.Screen(search, objective, config)
        report.begin(folder.path)
        agent = Agent(
            config=config,
            folder=folder,
            search=search,
            objective=objective,
            mark=mark,
            starter=starter,
            threads=threads,
            tell=report.tell,
        )
        try:
            agent.work()
        finally:
            reports.write_all(folder, search, objective, config, space, threads)
    _require_done(search, folder)
    report.finish(folder)
    return EXIT_DONE


def _require_done(search: Search, folder: SearchFolder) -> None:
    ended = search.ended()
    if ended not in ("done", None):
        raise TrainingFailed(
            f"{ended}; see {folder.table} and {folder.path / 'logs'}, and give the same"
            " command to go on"
        )


def _open(
    config: TuneConfig, folder: SearchFolder, space: Space, starter: Starter
) -> tuple[Search, Objective, int]:
    """The search in the folder, begun if there is none; its objective and threads."""
    store = StateFile(folder)
    with folder.locked():
        # Another machine may have begun it meanwhile.
        begun = folder.state.exists()
        if begun:
            folder.require_same(config)
            state = store.read()
            objective = Objective(**state["objective"])
        else:
            objective = _rehearse(config, folder, space, starter)
        search = _make(config, store, space, objective)
        if not begun:
            own = config.training.threads or max(
                1, len(available_cores()) // config.agent.workers
            )
            state = search.new_state() | {
                "version": _VERSION,
                "objective": {"tag": objective.tag, "direction": objective.direction},
                "threads": own,
            }
            folder.write_config(config)
            files.write_json(folder.state, state)
        elif state["ended"]:
            # Given again, perhaps with more trials: what ended it may be over.
            files.write_json(folder.state, state | {"ended": None, "failures": 0})
    return search, objective, state["threads"]


def _make(
    config: TuneConfig, store: StateFile, space: Space, objective: Objective
) -> Search:
    return Search(
        store,
        _oracle(config, space, objective),
        space,
        objective,
        max_failures=config.search.max_failures,
        confirm=config.search.confirm,
        finalists=config.search.finalists,
    )


def _oracle(
    config: TuneConfig, space: Space, objective: Objective
) -> oracles.RestorableOracle:
    """The oracle that `--tuner` names.

    Raises:
      UserError: it cannot search this space.
    """
    return oracles.build(
        config.search,
        space,
        objective,
        epochs=config.training.epochs,
        seed=config.training.seed,
    )


def _rehearse(
    config: TuneConfig, folder: SearchFolder, space: Space, starter: Starter
) -> Objective:
    """Tries the first valid combination on the data, and reads `--objective`.

    Raises:
      UserError: the data is not there, the model does not fit it, or the objective is
        no metric of it.
    """
    log, answer = folder.log("rehearsal"), folder.path / "logs" / "rehearsal.json"
    for path in (log, answer):
        path.unlink(missing_ok=True)
    arguments = checks.first_arguments(config, space)
    status = starter.rehearse(arguments, log, answer)
    said = files.read_json(answer) if answer.exists() else {}
    answer.unlink(missing_ok=True)
    if status == EXIT_USER_MISTAKE and said:
        raise UserError(said["message"])
    if status != EXIT_DONE:
        lines = log.read_text().strip().splitlines() if log.exists() else []
        sys.stderr.write("\n".join(lines[-20:]) + "\n")
        raise TrainingFailed(
            f"the first configuration could not be built (exit status {status}): see"
            f" {log}"
        )
    return objectives.parse(
        config.search.objective, said["directions"], said["monitor"]
    )
