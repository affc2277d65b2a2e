"""Everything in a rules folder, compiled: the services and the rules of each."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...fhir.chart import Policy, SourceQuery
from ...protocol.services import Service
from ...wearables.records import AlertType
from ..terminology.lexicon import Lexicon
from ..terminology.valuesets import ValueSet
from .alerting import AboutData
from .program import Program
from .rules import Rule, Site


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """A service on one hook with the rules that it evaluates."""

    service: Service
    queries: tuple[SourceQuery, ...]
    policies: Mapping[str, Policy]
    rules: tuple[Rule, ...]
    program: Program
    site: Site
    digest: str = ""
    """Of the rulebook that this is a part of: a record names the one that judged."""
    includes_medications: bool = False
    """Whether the queries ask for the Medications that medicines refer to."""
    about_data: AboutData = AboutData()


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Everything in the rules folder, compiled."""

    digest: str
    """SHA-256 of the files that decide what is served."""
    site: Site
    services: Mapping[tuple[str, str], ServiceRules]
    """By service id and hook."""
    rules: Mapping[str, Rule]
    alert_types: Mapping[str, AlertType]
    valuesets: Mapping[str, ValueSet]
    lexicon: Lexicon = Lexicon()

    @property
    def has_rxnorm(self) -> bool:
        """Whether a release of RxNorm tells what products hold."""
        return any(each.known.codes for each in self.valuesets.values())
