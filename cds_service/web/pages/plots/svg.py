"""SVG as text in which nothing from outside is anything but text. Pure.

Every element is written by one function, and every value in it is escaped there. There
is no ``style``: pages forbid it, and what is drawn has classes instead.
"""

import re
from collections.abc import Mapping
from html import escape

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: XML 1.0, section 2.2."""


class Svg(str):
    """Elements as they stand in a page; templates write them as they are."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return itself: what is in it is escaped already."""
        return self


def element(tag: str, attributes: Mapping[str, object], *inside: Svg | str) -> Svg:
    """Return an element; what is inside and no ``Svg`` is text.

    Args:
        attributes: By name, which is one of ours. A number is rounded to hundredths.
    """
    told = "".join(f' {name}="{_value(each)}"' for name, each in attributes.items())
    if not inside:
        return Svg(f"<{tag}{told}/>")
    within = "".join(e if isinstance(e, Svg) else _escaped(e) for e in inside)
    return Svg(f"<{tag}{told}>{within}</{tag}>")


def number(value: float, places: int = 2) -> str:
    """Return a coordinate, rounded."""
    shown = f"{value:.{places}f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def _value(value: object) -> str:
    return number(value) if isinstance(value, int | float) else _escaped(str(value))


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text), quote=True)
