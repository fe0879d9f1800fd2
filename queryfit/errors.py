"""The one family of errors that a person may see."""

from __future__ import annotations


class QueryfitError(Exception):
    """Something could not be done; the command line prints it with its hint and exits with status 3.

    `message` is one line that says what happened; `hint` is the next step, or None where there is none.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(QueryfitError):
    """The command was called wrongly; exit status 2."""
