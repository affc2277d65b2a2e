"""Who works on a delivery, and whether it still lives.

SQLite serves one machine, where a process is known by the boot of the machine, its
number and the moment of its start. PostgreSQL knows its sessions, which end with the
process that had them. One that cannot be seen from here is taken to be alive.
"""

import os
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, text

PROC = Path("/proc")
SESSION = text("""
    SELECT pid || '/' || extract(epoch FROM backend_start)
    FROM pg_stat_activity WHERE pid = pg_backend_pid()
""")
OF_PID = text("""
    SELECT pid || '/' || extract(epoch FROM backend_start)
    FROM pg_stat_activity WHERE pid = CAST(split_part(:claimant, '/', 1) AS integer)
""")
"""Null where the session is another role's: then nobody tells when it began."""
_PARTS = ("boot", "namespace", "number", "start")
KEPT = "claimant"
"""Where a connection keeps what its session is called."""


def own(connection: Connection) -> str | None:
    """Return what is to stand in a claim; None where the system does not tell."""
    if connection.dialect.name == "sqlite":
        return name_process(os.getpid())
    session: str | None = connection.info.get(KEPT)
    if session is None:
        session = connection.info[KEPT] = connection.execute(SESSION).scalar()
    return session


def is_gone(connection: Connection, claimant: str | None) -> bool:
    """Check whether who made a claim has ended for certain."""
    if not claimant:
        return False
    parts = claimant.split("/")
    if connection.dialect.name == "sqlite":
        return len(parts) != len(_PARTS) or _has_ended(claimant, *parts)
    if len(parts) != 2:
        # It served a database of the other kind, of which this is a copy.
        return True
    found = connection.execute(OF_PID, {"claimant": claimant}).first()
    return found is None or found[0] not in (None, claimant)


def process_has_ended(claimant: str) -> bool:
    """Check whether a process, as ``name_process`` tells it, has ended for certain."""
    parts = claimant.split("/")
    return len(parts) == len(_PARTS) and _has_ended(claimant, *parts)


def _has_ended(
    claimant: str, boot: str, namespace: str, number: str, start: str
) -> bool:
    here = _place()
    if here is None:
        return False
    if boot != here[0]:
        return True
    # The processes of another container cannot be seen from here.
    return namespace == here[1] and name_process(int(number)) != claimant


def name_process(number: int) -> str | None:
    """Return boot, namespace, number and start of a process; None for no process."""
    place = _place()
    try:
        # The name, in brackets, may hold anything; the start is the 22nd field.
        after = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "/".join((*place, str(number), after[19])) if place else None


@lru_cache(maxsize=1)
def _place() -> tuple[str, str] | None:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return boot, os.readlink(PROC / "self/ns/pid")
    except OSError:
        return None
