"""What PostgreSQL means by an error, and whether to try again.

Source: PostgreSQL, "Error Codes".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..records import StoreBusy, StoreError

STANDBY = "25006"
"""Another server is to be written to by now; no connection to this one is of use."""
LOST = ("57P01", "57P02", "57P03", "08", STANDBY, "0A000")
"""The connection is of no more use: the server ends, it is a standby by now, or it
keeps the plan of a statement about a table that has changed."""
OUTRUN = ("40001", "40P01")
"""Others were faster; done again, it may go well."""
BUSY = ("55P03", "57014", "25P03", "25P04", "53")
"""A lock that is not let go, a statement that takes too long, no room."""
OF_A_ROW = ("22", "23")
"""Data or a constraint: nothing is wrong with the database."""
QUOTING = ("22", "P0")
"""Data, or what a trigger raised, which may be one of the hospital's own: the message
may hold a value of a row."""
ERRORS = (SQLAlchemyError, psycopg.Error, UnicodeEncodeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Failure:
    """What came of a transaction that was not committed."""

    error: StoreError
    lost: bool = False
    """Whether the connection is of no more use."""
    again: bool = False
    """Whether to do it again."""
    standby: bool = False
    """Whether all connections of before are of no more use."""


def read_failure(error: Exception) -> Failure:
    """Return what an error means.

    Its text never holds a value of a row: the server's details, which do, are left out,
    and so is what it says of data that it cannot read, and what a trigger says.
    """
    if isinstance(error, PoolTimeout):
        return Failure(StoreBusy("no connection to the database is free", "pool"))
    cause: Any = getattr(error, "orig", None) or error
    state: str = getattr(cause, "sqlstate", None) or ""
    if state.startswith(BUSY):
        return Failure(StoreBusy(f"the database is busy: {state}", state))
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        if not state or state.startswith(LOST):
            words = f"the database cannot be reached: {_words(cause)}"
            told = StoreError(words, state or "unreachable")
            return Failure(told, lost=True, again=True)
    kind = "" if state.startswith(OF_A_ROW) else state
    told = StoreError(f"the database refused: {_words(cause)}", kind)
    lost = state.startswith(LOST)
    again = lost or state in OUTRUN
    return Failure(told, lost=lost, again=again, standby=state == STANDBY)


def _words(cause: Any) -> str:
    name = type(cause).__name__
    state: str = getattr(cause, "sqlstate", None) or ""
    if not isinstance(cause, psycopg.Error) or state.startswith(QUOTING):
        return name
    if not state and isinstance(cause, psycopg.DataError):
        return name
    said = cause.diag.message_primary or str(cause).partition("\n")[0]
    return f"{name}: {said}"


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise what an error of the block means in its place.

    Raises:
        StoreError: where the database refuses, or cannot be reached.
    """
    try:
        yield
    except ERRORS as error:
        raise read_failure(error).error from None
