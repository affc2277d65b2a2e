"""How the settings of a rules folder differ: its site, services and alert types.

They change what is served without changing a rule, and ask for no version.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..compile.compiler import ALERT_TYPES, SERVICES, SITE
from ..language.document import Document, Path
from .versions import Change, VersionStep

_ABSENT = object()


def compare_settings(
    old: Mapping[str, Document], new: Mapping[str, Document]
) -> list[Change]:
    """Every setting that differs, at its line in the new file."""
    return [
        change
        for file in (SERVICES, SITE, ALERT_TYPES)
        if file in old and file in new
        for change in _differences(old[file], new[file])
    ]


def _differences(old: Document, new: Document) -> Iterator[Change]:
    was, now = dict(_leaves(old.data, (), ())), dict(_leaves(new.data, (), ()))
    for name in sorted({*was, *now}):
        path, after = now.get(name, ((), _ABSENT))
        before = was[name][1] if name in was else _ABSENT
        if after != before:
            place = path if path else _nearest(name, now)
            line = new.position(place, key=True).line
            yield Change(new.file, line, _told(name, before, after), VersionStep.NONE)


def _leaves(
    value: Any, path: Path, name: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[Path, Any]]]:
    """Every setting by a name that does not depend on its place in a list."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _leaves(member, (*path, key), (*name, str(key)))
    elif isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        for index, member in enumerate(value):
            own = str(member.get("id") or member.get("code") or index)
            yield from _leaves(member, (*path, index), (*name, own))
    else:
        yield name, (path, value)


def _nearest(
    name: tuple[str, ...], known: Mapping[tuple[str, ...], tuple[Path, Any]]
) -> Path:
    """The place of the setting that shares most of a name that is gone."""
    for length in range(len(name) - 1, 0, -1):
        for other, (path, _) in known.items():
            if other[:length] == name[:length]:
                return path[:length]
    return ()


def _told(name: Sequence[str], before: Any, after: Any) -> str:
    shown = ".".join(name)
    if after is _ABSENT:
        return f"{shown} removed, was {_written(before)}"
    if before is _ABSENT:
        return f"{shown} {_written(after)}, was not there"
    return f"{shown} {_written(after)}, was {_written(before)}"


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    text = str(value)
    return f"{text[:57]}…" if len(text) > 60 else text
