"""What changed between two rules folders.

Of rules: their meaning, and which step of the version that is. Both sides are compiled:
formatting, the order of keys, comments, the names of facts and whether a value stands
in a parameter make no difference. Of the site, the services, the metrics, the types of
alerts and how all that leaves: every setting that differs. They change what is served
without changing a rule, and ask for no version.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..compile.catalogue_builder import ALERT_TYPES, METRICS, OUTPUTS
from ..compile.compiler import SERVICES, SITE
from ..language.diagnostics import Finding, Level
from ..language.document import Document, Path
from .rule_difference import Book, compare_rules
from .versions import Change, VersionStep, following, is_lower, moved


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """What became of one rule."""

    rule: str
    state: str
    """``added``, ``removed``, ``renamed`` or ``changed``."""
    file: str
    """Of the new rule; of the old one where it is removed."""
    line: int = 1
    old_version: str = ""
    new_version: str = ""
    changes: tuple[Change, ...] = ()
    renamed_from: str = ""
    version_line: int = 1

    @property
    def needed(self) -> VersionStep:
        """The step that the changes ask for."""
        return max((each.step for each in self.changes), default=VersionStep.NONE)

    def finding(self) -> Finding | None:
        """That the version does not say what changed; None where it does."""
        if self.state != "changed":
            return None
        if is_lower(self.new_version, self.old_version):
            message = f"the version went back from {self.old_version}"
            least = max(self.needed, VersionStep.PATCH)
            help = f"write {following(self.old_version, least)}"
        elif self.needed > moved(self.old_version, self.new_version):
            wanted = following(self.old_version, self.needed)
            message = f"needs {wanted}, has {self.new_version}"
            help = (
                f"what changed is {_ARTICLES[self.needed]}; write `version: {wanted}`"
            )
        else:
            return None
        return Finding(
            self.file, self.version_line, 1, "CDS617", Level.ERROR, message, help
        )


_ARTICLES = {
    VersionStep.NONE: "no change",
    VersionStep.PATCH: "text or governance: a patch",
    VersionStep.MINOR: "a limit or how it is shown: a minor step",
    VersionStep.MAJOR: "what the rule asks: a major step",
}


def compare_books(old: Book, new: Book) -> tuple[RuleDifference, ...]:
    """Every rule that is new, gone, renamed or changed, by name."""
    was, now = old.rulebook.rules, new.rulebook.rules
    found = []
    gone = [name for name in sorted(was) if name not in now]
    come = [name for name in sorted(now) if name not in was]
    for name in come:
        source = new.source(name)
        former = next((each for each in gone if _is_same(each, name, old, new)), None)
        if former:
            gone.remove(former)
        state = "renamed" if former else "added"
        version = now[name].version
        found.append(
            RuleDifference(
                name,
                state,
                now[name].file,
                source.line(("rule",)),
                new_version=version,
                renamed_from=former or "",
            )
        )
    found += [
        RuleDifference(
            name, "removed", was[name].file, 1, old_version=was[name].version
        )
        for name in gone
    ]
    for name in sorted(set(was) & set(now)):
        changes = tuple(compare_rules(name, name, old, new))
        difference = RuleDifference(
            name,
            "changed",
            now[name].file,
            1,
            was[name].version,
            now[name].version,
            changes,
            version_line=new.source(name).line(("version",)),
        )
        if changes or was[name].version != now[name].version:
            found.append(difference)
    return tuple(sorted(found, key=lambda each: each.rule))


def _is_same(former: str, name: str, old: Book, new: Book) -> bool:
    changes = compare_rules(former, name, old, new)
    return all(change.step <= VersionStep.PATCH for change in changes)


_ABSENT = object()


def compare_settings(
    old: Mapping[str, Document], new: Mapping[str, Document]
) -> list[Change]:
    """Every setting that differs, at its line in the new file."""
    return [
        change
        for file in (SERVICES, SITE, METRICS, ALERT_TYPES, OUTPUTS)
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
