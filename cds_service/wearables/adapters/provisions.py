"""The provisions of a FHIR Consent, as the rules that they are.

Each limit of a provision becomes a member of its rule; one that this server cannot
judge is named, so that the rule then permits nothing and denies all the more.

Source: FHIR R4 and R5 "Consent", ``provision``; HL7 code systems ``consentaction`` and
``v3-ActReason``.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...fhir.moments import parse_moment
from ..consent import Provision

DEEPEST = 8
"""Exceptions to exceptions to …; what is nested deeper is not judged."""
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
REASONS = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
TYPES = ("http://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types")
DATA_TYPE = "Observation"
"""What wearable data are in FHIR."""
TREATMENT = frozenset({"TREAT", "CAREMGT", "COC"})
OTHER_PURPOSES = frozenset(
    {"CLINTRCH", "HLEGAL", "HMARKT", "HOPERAT", "HPAYMT", "HRESCH", "PUBHLTH"}
)
"""Purposes that are certainly not treatment."""
_WORDS = {"permit": True, "deny": False}
_JUDGED = frozenset(
    {
        "id",
        "type",
        "period",
        "dataPeriod",
        "actor",
        "action",
        "purpose",
        "class",
        "resourceType",
        "code",
        "provision",
    }
)


def word(value: Any) -> bool | None:
    """Check whether ``permit`` is said; False for ``deny``, None for anything else."""
    return _WORDS.get(value) if isinstance(value, str) else None


def codings(concepts: Any) -> Iterator[tuple[str, str]]:
    """Yield system and code of every coding in a list of CodeableConcepts or Codings.

    Empty both where an entry has no code that can be read.
    """
    for concept in concepts if isinstance(concepts, list) else [concepts]:
        listed = concept.get("coding", concept) if isinstance(concept, Mapping) else ()
        for coding in listed if isinstance(listed, list) else [listed]:
            held = coding if isinstance(coding, Mapping) else {}
            system, code = held.get("system", ""), held.get("code")
            if isinstance(system, str) and isinstance(code, str) and code:
                uri = canonical_system(system)
                yield uri, normalise_code(uri, code)
            else:
                yield "", ""


def read_provision(
    written: Any,
    otherwise: bool | None,
    zone: tzinfo,
    path: str,
    *,
    inherited: frozenset[str] | None = None,
    turns: bool = False,
    depth: int = 0,
) -> Provision:
    """Return the rule that a provision is, with its exceptions.

    Args:
        otherwise: What it says where it has no ``type``.
        inherited: The actions of the rule that it is an exception to.
        turns: Whether an exception without a ``type`` says the opposite, as in R5.
    """
    if not isinstance(written, Mapping) or depth > DEEPEST:
        return Provision(False, unjudged=(path,))
    limits = _Limits(written, path, zone)
    says = otherwise
    if written.get("type") is not None:
        says = word(written["type"])
        if says is None:
            limits.doubt("type")
    actions = limits.actions() or inherited
    nested = written.get("provision", [])
    if not isinstance(nested, list):
        limits.doubt("provision")
        nested = []
    return Provision(
        permits=says,
        actions=actions,
        start=limits.bound("period", "start"),
        end=limits.bound("period", "end"),
        data_start=limits.bound("dataPeriod", "start"),
        data_end=limits.bound("dataPeriod", "end"),
        codes=limits.codes(),
        actors=limits.actors(),
        foreign=limits.are_foreign(),
        unjudged=limits.unjudged(),
        exceptions=tuple(
            read_provision(
                each,
                None if says is None or not turns else not says,
                zone,
                f"{path}.provision[{index}]",
                inherited=actions,
                turns=turns,
                depth=depth + 1,
            )
            for index, each in enumerate(nested)
        ),
    )


class _Limits:
    """The members of one provision, read one by one; what cannot be is noted."""

    def __init__(self, written: Mapping[str, Any], path: str, zone: tzinfo) -> None:
        self._written = written
        self._path = path
        self._zone = zone
        self._doubted = dict.fromkeys(name for name in written if name not in _JUDGED)

    def doubt(self, name: str) -> None:
        """Note a member that cannot be judged."""
        self._doubted[name] = None

    def unjudged(self) -> tuple[str, ...]:
        """Return the paths of what was noted."""
        return tuple(f"{self._path}.{name}" for name in self._doubted)

    def bound(self, name: str, side: str) -> datetime | None:
        """Return where a period begins or ends; a day without a time counts whole."""
        period = self._written.get(name)
        if period is None:
            return None
        if not isinstance(period, Mapping):
            self.doubt(name)
            return None
        if side not in period:
            return None
        moment = parse_moment(period[side], self._zone)
        if moment is None:
            self.doubt(name)
            return None
        return moment.low if side == "start" else moment.high

    def actions(self) -> frozenset[str] | None:
        """Return the actions that it names; None where it names none."""
        if self._written.get("action") is None:
            return None
        named = set()
        for system, code in codings(self._written["action"]):
            known = system in (ACTIONS, "")
            named.add(code if known else "")
            if not known or not code:
                self.doubt("action")
        return frozenset(named)

    def codes(self) -> frozenset[tuple[str, str]]:
        """Return the kinds of data that it names."""
        if self._written.get("code") is None:
            return frozenset()
        named = frozenset(codings(self._written["code"]))
        if any(not system or not code for system, code in named):
            self.doubt("code")
        return named

    def actors(self) -> frozenset[str]:
        """Return whom it names."""
        written = self._written.get("actor")
        named = set()
        for actor in [] if written is None else _listed(written):
            reference = actor.get("reference") if isinstance(actor, Mapping) else None
            names = set(_names(reference))
            if not names:
                self.doubt("actor")
            named |= names
        return frozenset(named)

    def are_foreign(self) -> bool:
        """Check whether it is about other data or other purposes."""
        return self._is_other_data() or self._is_other_purpose()

    def _is_other_data(self) -> bool:
        types = [*self._typed("class"), *self._typed("resourceType")]
        if (
            not types
            or (TYPES[0], DATA_TYPE) in types
            or (TYPES[1], DATA_TYPE) in types
        ):
            return False
        if all(system in TYPES for system, _ in types):
            return True
        self.doubt("class")
        return False

    def _typed(self, name: str) -> Iterator[tuple[str, str]]:
        if self._written.get(name) is not None:
            yield from codings(self._written[name])

    def _is_other_purpose(self) -> bool:
        if self._written.get("purpose") is None:
            return False
        named = list(codings(self._written["purpose"]))
        codes = {code for system, code in named if system in (REASONS, "")}
        if codes & TREATMENT:
            return False
        if len(codes) == len(set(named)) and codes <= OTHER_PURPOSES:
            return True
        self.doubt("purpose")
        return False


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _names(reference: Any) -> Iterator[str]:
    """Yield what a Reference calls somebody: ``Type/id``, and ``system|value``."""
    if not isinstance(reference, Mapping):
        return
    literal = reference.get("reference")
    if isinstance(literal, str) and literal:
        yield literal
    identifier = reference.get("identifier")
    if isinstance(identifier, Mapping):
        system, value = identifier.get("system"), identifier.get("value")
        if isinstance(system, str) and isinstance(value, str) and value:
            yield f"{system}|{value}"
