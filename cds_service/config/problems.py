"""What is wrong with settings and files: all at once, each with its place."""

from collections.abc import Sequence

from ..rulebook.language import Document


class InvalidConfig(Exception):
    """The server does not start with these settings."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        """Each names the variable, or the file, line, column and field."""
        super().__init__("\n".join(self.problems))


Path = tuple[str | int, ...]


class Reporter:
    """Collects what is wrong with one file."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[str] = []

    def add(self, path: Path, message: str, *, key: bool = False) -> None:
        """Keep a problem of the node at *path*; of its key with *key*."""
        line, column = self._document.position(path, key=key)
        place = f"{self._document.file}:{line}:{column}"
        name = field_name(path)
        self.problems.append(
            f"{place}: {name}: {message}" if name else f"{place}: {message}"
        )


def field_name(path: Path) -> str:
    """Return the path as a person writes it: ``clients[0].keys``."""
    steps = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return "".join(steps).removeprefix(".")
