"""The changes of the schema, how they are made, and what several of them need.

Alembic is imported when it is needed, which is once in the life of a schema.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect

from ..records import StoreError, StoreTooNew

MIGRATIONS = Path(__file__).parent


def upgrade(connection: Connection) -> None:
    """Upgrade the schema, in the transaction that is open.

    Raises:
        StoreTooNew: if the database is newer than this program.
        StoreError: if it cannot be done.
    """
    current, known = standing(connection), newest()
    if current == [known]:
        return
    if any(each > known for each in current):
        raise StoreTooNew(
            "the database belongs to a newer version of this program: its schema is"
            f" {', '.join(current)}, and this version knows none after {known}; start"
            " the newer version, or put back the copy that was made before the upgrade"
        )
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


def standing(connection: Connection) -> list[str]:
    """Return the revisions that a database has come to; none where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    asked = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
    return [str(each) for each in asked.scalars()]


def newest() -> str:
    """Return the revision that this program needs, as the last module is called."""
    return max(each.name[1:5] for each in MIGRATIONS.glob("versions/v[0-9]*.py"))


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


def refuse_changes_unless(
    table: str, name: str, message: str, *, update: str, delete: str = "false"
) -> None:
    """Have the database refuse to change or remove rows, but for what is named.

    What refused it before under the same *name* is replaced.

    Args:
        update: When a row may be changed, in SQL about ``OLD`` and ``NEW``.
        delete: When a row may be removed, about ``OLD``.
    """
    from alembic import op

    allowed = {"UPDATE": update, "DELETE": delete}
    if op.get_bind().dialect.name == "sqlite":
        for verb, unless in allowed.items():
            trigger = f"{name}_{verb.lower()}"
            op.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            op.execute(
                f"CREATE TRIGGER {trigger} BEFORE {verb} ON {table}"
                f" WHEN NOT ({unless}) BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        return
    allowed["TRUNCATE"] = "false"
    for verb, unless in allowed.items():
        trigger = f"{name}_{verb.lower()}"
        whole = verb == "TRUNCATE"
        op.execute(
            f"CREATE OR REPLACE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql"
            f" AS $$ BEGIN IF NOT ({unless}) THEN RAISE EXCEPTION '{message}'; END IF;"
            f" RETURN {'NULL' if whole else 'OLD' if verb == 'DELETE' else 'NEW'};"
            " END $$"
        )
        op.execute(f"DROP TRIGGER IF EXISTS {trigger} ON {table}")
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE {verb} ON {table}"
            f" FOR EACH {'STATEMENT' if whole else 'ROW'} EXECUTE FUNCTION {trigger}()"
        )
