"""Write docs/cli.md anew from the commands: ``python -m tests.cli.reference``.

What stands above the mark is written by hand and kept.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from cds_service.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
MARK = "<!-- Below: written by `make cli-page` from the commands themselves. -->\n"
WIDTH = 100


def write_reference() -> str:
    """Return the page: its head as it stands, and every command with its help."""
    head, mark, _ = PAGE.read_text("utf-8").partition(MARK)
    return head + mark + "".join(_tell(main, "cds-service", None))


def _tell(
    command: click.Command, path: str, parent: click.Context | None
) -> Iterator[str]:
    context = command.context_class(
        command,
        info_name=path.split()[-1],
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    if parent:
        depth = "#" * len(path.split())
        text = "\n".join(map(str.rstrip, command.get_help(context).splitlines()))
        yield f"\n{depth} {path}\n\n```text\n{text}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _tell(below, f"{path} {name}", context)


if __name__ == "__main__":
    PAGE.write_text(write_reference(), "utf-8")
