"""The changes of the schema, and what several of them need."""

from alembic import op


def refuse_changes(table: str, name: str, message: str) -> None:
    """Have the database itself refuse to change or remove rows of a table.

    Who owns the database can take the triggers away. Whatever makes such a table anew,
    as a change of a column may in SQLite, makes its triggers anew.

    Args:
        name: Begins the names of the triggers.
    """
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
