"""Which database a URL names: a file of SQLite, or one of a PostgreSQL server."""

from pathlib import Path

from .condition.files import Place
from .database import Database, DatabaseLimits, read_url
from .records import StoreError
from .sqlite import SqliteDatabase, make_file

POSTGRESQL = ("postgresql", "postgresql+psycopg")


def open_database(
    url: str,
    *,
    create: bool = False,
    limits: DatabaseLimits = DatabaseLimits(),
    place: Place | None = None,
) -> Database:
    """Return the connections to the database at a URL, as ``Store.open`` takes it."""
    file = find_file(url)
    if file is None:
        # Imported where it is asked for: who serves from a file needs no driver.
        from .postgresql import PostgresDatabase

        return PostgresDatabase(read_url(url), limits, place)
    if create and place is None:
        make_file(file)
    elif place is None and not file.is_file():
        raise StoreError("there is no such database")
    return SqliteDatabase(file, place)


def find_file(url: str) -> Path | None:
    """Return where the file of a database URL is or will be; None if it has none.

    Raises:
        StoreError: if it is no URL of a database that is supported.
    """
    parsed = read_url(url)
    if parsed.drivername in POSTGRESQL:
        return None
    if parsed.get_backend_name() != "sqlite":
        known = "sqlite:/// and postgresql+psycopg://"
        raise StoreError(f"{parsed.drivername}: only {known} are supported")
    if not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise StoreError("the database URL must name a file: sqlite:///file")
    return Path(parsed.database).absolute()
