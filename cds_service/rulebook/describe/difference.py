"""What changed in the meaning of rules, and which step of the version that is.

Both sides are compiled: formatting, the order of keys, comments, the names of facts and
whether a value stands in a parameter make no difference.
"""

from dataclasses import dataclass

from ..language.diagnostics import Finding, Level
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
