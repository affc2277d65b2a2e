"""The rules that are shipped, read and compiled once a run for who changes nothing.

What is about loading or compiling itself does it itself.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from cds_service.rulebook.compile.compiler import Compiled, compile_rulebook
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.language.document import Document
from cds_service.rulebook.load import read_folder

RULES = Path(__file__).parents[1] / "rules"
FILES: Mapping[str, str] = MappingProxyType(read_folder(RULES))


@cache
def compiled() -> Compiled:
    """What comes of the files."""
    return compile_rulebook(FILES)


def rulebook() -> Rulebook:
    """The shipped rules, with the overlays that are in use."""
    found = compiled().rulebook
    assert found is not None
    return found


def known() -> Mapping[str, Document]:
    """The files as they were read, for tests that change a few of them."""
    return compiled().documents
