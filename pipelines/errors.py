"""The one kind of error that this room raises for a user's mistake."""


class DataError(ValueError):
    """Bad data or a bad data flag, in one line.

    The line says what was received, what was expected, and what to do.
    """
