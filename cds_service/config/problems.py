"""What is wrong with the settings: everything at once, a sentence each."""

from collections.abc import Sequence


class InvalidConfig(Exception):
    """The server does not start with these settings."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        """Each names the variable, or the file, line, column and field."""
        super().__init__("\n".join(self.problems))
