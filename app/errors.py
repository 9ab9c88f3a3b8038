"""Kinds of failure that end a command, with the exit status each one means."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER_MISTAKE = 2
EXIT_INTERRUPTED = 75


class UserError(Exception):
    """The user's mistake, in one line: received, expected, what to do. Exit 2."""


class Interrupted(Exception):
    """The run stopped early and the same command goes on with it. Exit 75."""


class TrainingFailed(Exception):
    """The run cannot go on: non-finite values, a broken record. Exit 1."""


class ExportRefused(Exception):
    """Nothing was published: what would serve is not what was trained. Exit 1."""
