"""Whoever interrupts a command is heard, whatever the database is doing just then."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import psycopg
import pytest

from cds_service.audit import verify
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store

DRIVER = os.path.dirname(psycopg.__file__)


def interrupted(work: Callable[[], object], turn: int) -> str | None:
    """Do *work*, interrupted where the driver calls a function for that many a time.

    As by a signal: a function's beginning is where Python looks whether one came.
    Returns what came of it, or None where there are not that many calls.
    """
    calls, where = 0, ""

    def strike(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls, where
        if not frame.f_code.co_filename.startswith(DRIVER):
            return
        calls, name = calls + 1, frame.f_code.co_name
        if name == "rollback":
            # All is done, and the connection SQLAlchemy's, which would not close it.
            sys.settrace(before)
        elif calls == turn:
            where = name
            raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(strike)
    try:
        work()
    except KeyboardInterrupt:
        return "heard"
    except Exception as error:
        return f"{error!r} in {where}"
    finally:
        sys.settrace(before)
    return f"not heard in {where}" if where else None


@pytest.mark.parametrize("kind", ["postgresql"])
def test_an_interruption_is_heard_wherever_in_a_transaction_it_strikes(
    store: Store,
) -> None:
    """The driver of SQLite has no functions in which it could strike."""

    def work() -> None:
        store.record_audit(AuditEvent(datetime.now(UTC), "call"))

    heard = []
    work()
    while came := interrupted(work, len(heard) + 1):
        heard.append(came)
        work()

    assert len(heard) > 50 and set(heard) == {"heard"}
    assert verify(store) == []
