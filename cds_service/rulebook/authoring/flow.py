"""Lists and mappings in brackets, written on one line in the house's style."""

from typing import Any

from ..language.document import Document, Path


def one_line(document: Document, path: Path) -> str:
    """What stands in brackets at *path*: `{ key: value }` and `[one, two]`.

    As it was written, where any of it cannot be told apart for certain.
    """
    mark = document.marks[path]
    written = document.text[mark.start : mark.end]
    try:
        return _node(document, path, document.value(path))
    except ValueError:
        return written


def _node(document: Document, path: Path, value: Any) -> str:
    mark = document.marks[path]
    written = document.text[mark.start : mark.end]
    if not isinstance(value, (dict, list)):
        if not written:
            raise ValueError("a value that is not there")
        return written
    if written[:1] not in ("{", "["):
        raise ValueError("a pair without brackets")
    if isinstance(value, list):
        items = (_node(document, path + (n,), each) for n, each in enumerate(value))
        return f"[{', '.join(items)}]"
    if not value:
        return "{}"
    pairs = (_pair(document, path + (key,), each) for key, each in value.items())
    return f"{{ {', '.join(pairs)} }}"


def _pair(document: Document, path: Path, value: Any) -> str:
    mark = document.marks[path]
    key = document.text[mark.key : mark.start].rstrip()
    if not key.endswith(":") or key.startswith("?"):
        raise ValueError("a key without its colon")
    return f"{key[:-1].rstrip()}: {_node(document, path, value)}"
