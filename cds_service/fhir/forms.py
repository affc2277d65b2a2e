"""How a FHIR server wants a search to be written. Pure.

One server takes no ``_sort``, another demands ``intent``, a third takes one code at a
time. The same search in another form finds the same rows, or it is known and said that
it may not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from .entries import joined
from .questions import is_search, with_count

PAGE_SIZE = 200
OPTIONAL = ("_count", "_include", "_sort")
"""Parameters without which a search finds the same rows, if less conveniently."""


@dataclass(frozen=True, slots=True)
class Values:
    """What a demanded parameter may be asked for."""

    every: tuple[str, ...]
    """All that FHIR has, those first that hold most of the rows."""
    needed: tuple[str, ...] = ()
    """Those without which rows are missed that matter. None are named where a resource
    may have other values, or no value: then no list of them finds every row."""


DEMANDED: Mapping[str, Mapping[str, Values]] = {
    "MedicationRequest": {
        "intent": Values(
            (
                *("order", "plan", "original-order", "reflex-order", "filler-order"),
                *("instance-order", "proposal", "option"),
            ),
            ("order", "plan"),
        ),
        "status": Values(
            (
                *("active", "completed", "stopped", "on-hold", "cancelled", "draft"),
                *("unknown", "entered-in-error"),
            ),
            ("active", "completed", "stopped"),
        ),
        "category": Values(("inpatient", "outpatient", "community", "discharge")),
    },
    "MedicationStatement": {
        "status": Values(
            (
                *("active", "completed", "stopped", "on-hold", "intended"),
                *("not-taken", "unknown", "entered-in-error"),
            ),
            ("active", "completed", "stopped"),
        ),
    },
    "Condition": {
        "category": Values(
            ("problem-list-item", "encounter-diagnosis", "health-concern")
        ),
        "clinical-status": Values(
            (
                *("active", "recurrence", "relapse"),
                *("inactive", "remission", "resolved"),
            )
        ),
    },
    "Observation": {
        "category": Values(
            (
                *("vital-signs", "laboratory", "survey", "exam", "activity"),
                *("social-history", "procedure", "therapy", "imaging"),
            )
        ),
        "status": Values(
            (
                *("final", "amended", "corrected", "preliminary", "registered"),
                *("cancelled", "unknown", "entered-in-error"),
            ),
            ("final", "amended", "corrected"),
        ),
    },
    "Consent": {
        "status": Values(
            (
                *("active", "inactive", "rejected"),
                *("draft", "proposed", "entered-in-error"),
            ),
            ("active", "inactive", "rejected"),
        ),
    },
}
"""By resource type: what servers demand beside the patient.

Source: FHIR R4, the value sets of these elements. Those of ``intent`` and ``status``
are required, and every resource has one; what stands in a medication list has the
intent order or plan (US Core "Medication List").
"""


@dataclass(frozen=True, slots=True)
class Added:
    """A parameter that is demanded, and what it is asked for."""

    name: str
    values: tuple[str, ...]
    whole: bool = True
    """Whether every row that matters has one of the values."""


def vouch(kind: str, name: str, values: Sequence[str]) -> Added:
    """Return the parameter with what the server is said to have; or with all.

    What is needed cannot be vouched away: without it the answer is not whole.
    """
    known = DEMANDED[kind][name]
    needed = set(known.needed)
    if not values:
        return Added(name, known.every, bool(needed))
    return Added(name, tuple(values), needed <= set(values))


@dataclass(frozen=True, slots=True)
class Form:
    """How searches of one resource type are written."""

    kind: str = ""
    """The resource type; empty for every type."""
    without: tuple[str, ...] = ()
    """Parameters that are left out."""
    one_by_one: tuple[str, ...] = ()
    """Parameters that take one value at a time."""
    added: tuple[Added, ...] = ()
    as_reads: bool = False
    """Whether what is searched for by ``_id`` is read, one by one, instead."""

    def leaving_out(self, names: Iterable[str]) -> "Form":
        """Return the same without these parameters."""
        return replace(self, without=_union(self.without, names))

    def separating(self, names: Iterable[str]) -> "Form":
        """Return the same with one value at a time in these parameters."""
        return replace(self, one_by_one=_union(self.one_by_one, names))

    def asking_for(self, names: Iterable[str]) -> "Form":
        """Return the same with all values of these parameters, where they are known."""
        known = DEMANDED.get(self.kind, {})
        more = tuple(
            Added(name, known[name].every, bool(known[name].needed))
            for name in sorted(set(names) - {each.name for each in self.added})
            if name in known
        )
        return replace(self, added=self.added + more)

    def facts(self) -> dict[str, object]:
        """Return what it says, as the clients file would."""
        added = {each.name: list(each.values) for each in self.added}
        said = {
            "without": list(self.without),
            "one_by_one": list(self.one_by_one),
            "with": added,
            "as_reads": self.as_reads,
        }
        told: dict[str, object] = {"kind": self.kind}
        return told | {name: each for name, each in said.items() if each}

    @property
    def why_partial(self) -> str:
        """Why rows may be missed though all came that was asked for."""
        return joined(
            f"narrowed by {each.name}" for each in self.added if not each.whole
        )


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One of the queries that a search becomes."""

    query: str
    chosen: tuple[tuple[str, str], ...] = ()
    """The value of each parameter that is asked for one value at a time."""


def combine(forms: Sequence[Form], kind: str) -> Form:
    """Return what *forms* say of a resource type, those for every type included."""
    found = Form(kind)
    for form in forms:
        if form.kind in ("", kind):
            added = {each.name: each for each in (*found.added, *form.added)}
            found = replace(
                found.leaving_out(form.without).separating(form.one_by_one),
                added=tuple(added.values()),
                as_reads=found.as_reads or form.as_reads,
            )
    return found


def write(query: str, form: Form) -> tuple[QueryPart, ...]:
    """Return the searches, or reads, that *query* becomes in a form; at least one.

    With our page size, where the form does not forbid it.
    """
    if not is_search(query):
        return (QueryPart(query),)
    path, _, parameters = query.partition("?")
    pairs = [_pair(each) for each in parameters.split("&") if each]
    asked = [each for each in pairs if each[0] not in form.without]
    ids = [value for name, value in asked if name == "_id"]
    if form.as_reads and ids:
        return tuple(QueryPart(f"{path}/{each}") for each in ids[0].split(","))
    more = [(each.name, ",".join(each.values)) for each in form.added]
    named = {name for name, _ in asked}
    asked += [each for each in more if each[0] not in named]
    alone = [
        [(name, each) for each in value.split(",")]
        for name, value in asked
        if name in form.one_by_one and "," in value
    ]
    size = 0 if "_count" in form.without else PAGE_SIZE
    return tuple(_part(path, asked, chosen, size) for chosen in product(*alone))


def counts(query: str) -> dict[str, int]:
    """Return how many values each parameter of a query has."""
    pairs = [_pair(each) for each in query.partition("?")[2].split("&") if each]
    return {name: len(value.split(",")) for name, value in pairs}


def settle(form: Form, refused: Iterable[tuple[str, str]]) -> Form:
    """Return the form without the values that a server refused alone.

    A row that has such a value cannot be there, unless one that is needed is unknown.
    """
    out = set(refused)
    known = DEMANDED.get(form.kind, {})

    def kept(each: Added) -> Added:
        values = tuple(v for v in each.values if (each.name, v) not in out)
        needed = set(known[each.name].needed if each.name in known else ())
        return Added(each.name, values, each.whole and needed <= set(values))

    return replace(form, added=tuple(kept(each) for each in form.added))


def _union(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _part(
    path: str,
    asked: Sequence[tuple[str, str]],
    chosen: tuple[tuple[str, str], ...],
    size: int,
) -> QueryPart:
    alone = dict(chosen)
    text = "&".join(f"{name}={alone.get(name, value)}" for name, value in asked)
    query = f"{path}?{text}" if text else path
    return QueryPart(with_count(query, size) if size else query, chosen)
