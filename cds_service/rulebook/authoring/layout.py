"""The lines of a rule file as a tree, and the tree written again in the house's style.

Keys, values and comments are moved as they were written: no scalar is read and written
anew, so that `1E5`, `012`, `NO` and every line break of a text stay what they are. A
comment belongs to what follows it; one that is indented deeper than what follows closes
the block before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

EMPTY = "\0"
"""An empty line that is part of a text; no file holds this character."""

Lines = list[str]
"""Comments, without their indentation, and empty lines."""


@dataclass(slots=True)
class Written:
    """A value that is kept as it was written."""

    head: str
    rest: Lines = field(default_factory=list)
    """Its other lines, indented as seen from the entry."""
    below: bool = False
    """It begins on the line after its key."""
    above: Lines = field(default_factory=list)
    """Comments between the key and a value below it."""
    comment: str = ""
    """What follows on its last line."""


@dataclass(slots=True)
class BlockEntry:
    """One key with its value, or one item of a list."""

    name: str
    """The key as data; empty in a list."""
    key: str
    """The key as it was written; empty in a list."""
    lead: Lines
    comment: str
    """What follows the key or the dash, where the value begins on another line."""
    value: "Written | Block"


@dataclass(slots=True)
class Block:
    """A mapping or a list in block style."""

    is_list: bool
    entries: list[BlockEntry] = field(default_factory=list)
    tail: Lines = field(default_factory=list)
    """Comments after its last entry."""


def write_layout(head: Lines, block: Block) -> str:
    """The text of a file, with one line break at its end."""
    body = _without_edges(list(_block_lines(block, 0)))
    return "\n".join([*head, *body]).replace(EMPTY, "") + "\n"


def _block_lines(block: Block, indent: int) -> Iterator[str]:
    pad = " " * indent
    for entry in block.entries:
        yield from (pad + each if each else "" for each in single_gaps(entry.lead))
        yield from _entry_lines(entry, block.is_list, indent)
    yield from (pad + each if each else "" for each in single_gaps(block.tail))


def _entry_lines(entry: BlockEntry, is_list: bool, indent: int) -> Iterator[str]:
    pad = " " * indent
    sign = pad + ("-" if is_list else f"{entry.key}:")
    value = entry.value
    if isinstance(value, Written):
        yield from _written_lines(entry.comment, value, sign, indent)
        return
    inner = without_start(list(_block_lines(value, indent + 2)))
    if not is_list or entry.comment:
        yield _joined(sign, entry.comment)
        yield from inner
        return
    # The first key of an item stands beside its dash; what was above goes above it.
    while inner and (not inner[0] or inner[0].lstrip().startswith("#")):
        comment = inner.pop(0).lstrip()
        yield pad + comment if comment else ""
    yield f"{sign} {inner[0].lstrip(' ')}"
    yield from inner[1:]


def _written_lines(
    comment: str, value: Written, sign: str, indent: int
) -> Iterator[str]:
    pad = " " * indent
    lines = [_joined(sign, value.head)]
    if value.below:
        lines = [_joined(sign, comment)]
        lines += [f"{pad}  {each}" for each in [*value.above, value.head]]
    lines += [each if each in ("", EMPTY) else pad + each for each in value.rest]
    lines[-1] = _joined(lines[-1], value.comment)
    yield from lines


def _joined(left: str, right: str) -> str:
    return f"{left} {right}" if right else left


def single_gaps(lines: Lines) -> Lines:
    """The lines with one empty line where there were several."""
    return [
        line
        for number, line in enumerate(lines)
        if line or not number or lines[number - 1]
    ]


def without_start(lines: Lines) -> Lines:
    """The lines from the first that is not empty."""
    while lines and not lines[0]:
        lines = lines[1:]
    return lines


def _without_edges(lines: Lines) -> Lines:
    lines = without_start(lines)
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines
