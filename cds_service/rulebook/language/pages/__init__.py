"""What each finding code means: one page a code, which ``explain`` prints.

A page is a Markdown file of this folder: a title, what the code means, why it matters
and what to do, then a bad and a good example.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType


@cache
def titles() -> Mapping[str, str]:
    """Every code that has a page, in order, and the page's title."""
    pages = (each for each in files(__package__).iterdir() if each.name.endswith(".md"))
    heads = (page.read_text("utf-8").partition("\n")[0] for page in pages)
    parted = (head.removeprefix("# ").partition(": ") for head in heads)
    return MappingProxyType({code: title for code, _, title in sorted(parted)})


def read_page(code: str) -> str:
    """The page of a code, as Markdown.

    Raises:
        KeyError: if it has none.
    """
    if code not in titles():
        raise KeyError(code)
    return files(__package__).joinpath(f"{code}.md").read_text("utf-8")
