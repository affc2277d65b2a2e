"""Bring a database to the newest schema; several processes may ask at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from .database import Database
from .records import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(file: Path, database: Database) -> None:
    """Upgrade the schema in one transaction: all of it or nothing.

    Raises:
        StoreError: if it cannot be done, or the database is newer than this program.
    """
    with _alone(file.with_name(file.name + ".lock")):
        with database.reading() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with database.writing() as connection, connection.begin():
            config = _config()
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StoreError(f"{file}: {error}") from error


@contextmanager
def _alone(lock_file: Path) -> Iterator[None]:
    """Wait until no other process is here. The lock goes when its holder dies."""
    try:
        descriptor = os.open(lock_file, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreError(f"{lock_file}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
