"""The first line of a rule file, by which an editor finds the schema of the rest."""

import re
from posixpath import dirname, join, normpath, relpath

from ..compile.compiler import kind_of


def modeline(path: str, schemas: str) -> str:
    """The line for a file of the rules folder; both are named from that folder.

    *schemas* is the folder of the schemas; it may be an absolute path.
    """
    target = join(schemas, f"{kind_of(path)}.schema.json")
    if not schemas.startswith("/"):
        target = relpath(target, dirname(path) or ".")
    return f"# yaml-language-server: $schema={target}"


def schema_folder(path: str, text: str) -> str | None:
    """The folder of schemas, from the rules folder, that a file's first line names."""
    found = _MODELINE.match(text)
    if not found or "://" in found[1]:
        return None
    return normpath(join(dirname(path), dirname(found[1])))


def with_modeline(text: str, line: str) -> str:
    """The text with *line* at its top, in the place of the one that it had."""
    found = _MODELINE.match(text)
    return f"{line}\n{text[found.end():] if found else text}"


_MODELINE = re.compile(
    r"\ufeff?# yaml-language-server: \$schema=(\S+)[ \t]*(?:\r?\n|\Z)"
)
