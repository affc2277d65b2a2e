"""The changes of the schema, how they are made, and what several of them need.

Alembic is imported when it is needed, which is once in the life of a server.
"""

from pathlib import Path

from sqlalchemy import Connection

from ..records import StoreError

MIGRATIONS = Path(__file__).parent


def upgrade(connection: Connection) -> None:
    """Upgrade the schema, in the transaction that is open.

    Raises:
        StoreError: if it cannot be done, or the database is newer than this program.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"the schema cannot be brought up to date: {error}") from error


def refuse_changes(table: str, name: str, message: str) -> None:
    """Have the database itself refuse to change or remove rows of a table.

    Who owns the database can take the triggers away. Whatever makes such a table anew,
    as a change of a column may in SQLite, makes its triggers anew.

    Args:
        name: Begins the names of the triggers.
    """
    from alembic import op

    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {name}_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{message}'; END $$"
    )
    for verb, each in (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER {name}_{verb.lower()} BEFORE {verb} ON {table}"
            f" FOR EACH {each} EXECUTE FUNCTION {name}()"
        )
