"""What a server starts with, beside what it did before: as an event, in words. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..store.configurations import Configuration
from ..store.records import AuditEvent

MOST = 8
"""Names of one kind that are told in words."""
_OWNER = re.compile(r'(?:(client|webhook)\.("[^"]+"|[^."]+)|anonymous)\.')


@dataclass(frozen=True, slots=True)
class Change:
    """What is otherwise in one inventory than in another."""

    added: Mapping[str, Any]
    removed: Mapping[str, Any]
    changed: Mapping[str, tuple[Any, Any]]
    """Name to what was and what is."""


def compare_inventories(before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    """What is otherwise in *after*."""
    return Change(
        added={name: after[name] for name in after if name not in before},
        removed={name: before[name] for name in before if name not in after},
        changed={
            name: (before[name], after[name])
            for name in after
            if name in before and before[name] != after[name]
        },
    )


def build_configuration_event(
    at: datetime, configuration: Configuration, before: Configuration, release: str
) -> AuditEvent:
    """A server that starts with another configuration than *before*.

    *release* is the version of this program.
    """
    change = compare_inventories(before.inventory, configuration.inventory)
    detail = {
        "server": configuration.server,
        "digest": configuration.digest,
        "previous": before.digest,
        "release": release,
        "added": change.added,
        "removed": change.removed,
        "changed": change.changed,
    }
    return AuditEvent(at, "configuration", client=configuration.server, detail=detail)


def describe_change(change: Change) -> str:
    """Who and what is otherwise, by name and without values; empty where nothing is."""
    told: dict[str, dict[str, None]] = {}
    for name in sorted({*change.added, *change.removed, *change.changed}):
        group, subject = _subject(name, change)
        told.setdefault(group, {})[subject] = None
    return "; ".join(
        f"{group}: {_listed(list(subjects))}"
        for group, subjects in sorted(told.items())
    )


def _subject(name: str, change: Change) -> tuple[str, str]:
    """What became of whom, for an entry of a client or a source; else the setting."""
    owner = _OWNER.match(name)
    if owner is None:
        group, _, field = name.partition(".")
        return group, field.split(".")[0]
    id = f"{owner[0]}id"
    became = "added" if id in change.added else "changed"
    became = "removed" if id in change.removed else became
    return f"{owner[1] or 'client'}s {became}", (owner[2] or "anonymous").strip('"')


def _listed(names: list[str]) -> str:
    more = len(names) - MOST
    told = ", ".join(names[:MOST])
    return f"{told} and {more} more" if more > 0 else told
