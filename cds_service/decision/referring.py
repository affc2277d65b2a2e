"""What links of cards to pages of this server refer to: what was answered, and why.

It is kept, encrypted, with the call, so that a page reads again what was decided and
never decides anew. Only a call whose cards have such links pays for it, and only where
the client opens such pages; elsewhere the links are left out.
"""

import base64
import json
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..config import Config
from ..protocol.cards import Card, Link, as_json
from ..protocol.requests import HookRequest
from ..rulebook.cards import BuiltCard, Suppressed
from ..rulebook.describe import reason_json, source_json, why_json
from ..rulebook.engine import Evaluations, Outcome, Rule, ServiceRules
from ..store.references.records import (
    CardReference,
    NewReference,
    about_reference,
    digest_of,
)
from ..trust import TrustedClient
from ..trust.vault import Vault
from .recording import Decided

LAUNCH = "/smart/launch"
"""The one path at which EHRs open pages; they add who asks and for whom."""
LASTS = timedelta(hours=8)
"""How long a reference may be opened: about as long as somebody is on duty."""
RANDOM_BYTES = 32
"""Of a reference; nobody guesses one in its time."""
_REACHED = re.compile(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)")


@dataclass(frozen=True, slots=True)
class Referring:
    """How a client's cards refer to pages of this server."""

    url: str
    """The launch URL."""
    vault: Vault


@dataclass(frozen=True, slots=True)
class OpenedReference:
    """What was answered and why, opened again."""

    reference: CardReference
    card: Mapping[str, Any]
    """As it was sent, without its links to pages of this server."""
    why: Mapping[str, Any]
    """As ``explain --json`` tells of the card's rule, with what the record said; beside
    it ``also`` of the rules that stand as lines on the card, ``considered`` with what
    came of each rule that was asked, ``silent`` with those that were not asked or did
    not fire, and ``held_back``."""

    @property
    def page(self) -> str:
        """What the link opens."""
        return self.reference.page

    @property
    def at(self) -> datetime:
        """When the card was answered."""
        return self.reference.at


def referring_of(
    config: Config, client: TrustedClient, vault: Vault
) -> Referring | None:
    """Return how a client's cards refer to pages; None where no page can be opened.

    An address without encryption is reached from the machine itself alone, which is
    what somebody has who tries it out.
    """
    opens = client.smart is not None and bool(vault.keys)
    if not opens or not _REACHED.match(config.public_url):
        return None
    return Referring(config.public_url + LAUNCH, vault)


def refer(
    cards: Sequence[Card],
    decided: Decided,
    service: ServiceRules,
    hook_request: HookRequest,
    referring: Referring,
) -> tuple[tuple[Card, ...], tuple[NewReference, ...]]:
    """Return the cards with addresses in their links to pages, and what these refer to.

    A retry of a call gets references of its own beside those of the call: all of them
    are good, since nobody knows which of the answers arrived.

    Args:
        cards: As they are sent, in the order of ``decided.built``.
    """
    referred, references = [], []
    for card, built in zip(cards, decided.built, strict=True):
        links: list[Link] = []
        told = ""
        for link in card.links:
            if link.page:
                told = told or _snapshot(card, built, decided, service, hook_request)
                reference = secrets.token_urlsafe(RANDOM_BYTES)
                new = _new(reference, card, link, decided.at, told, referring.vault)
                references.append(new)
                link = replace(link, url=referring.url, app_context=reference)
            links.append(link)
        referred.append(replace(card, links=tuple(links)) if told else card)
    return tuple(referred), tuple(references)


def open_reference(reference: CardReference, vault: Vault) -> OpenedReference:
    """Return what is behind a reference.

    Raises:
        Unopened: if no key opens it.
    """
    packed = vault.unlock(reference.sealed, reference.about)
    told = json.loads(zlib.decompress(base64.b64decode(packed)))
    return OpenedReference(reference, told["card"], told["why"])


def _new(
    reference: str, card: Card, link: Link, at: datetime, told: str, vault: Vault
) -> NewReference:
    digest = digest_of(reference)
    sealed = vault.lock(told, about_reference(digest))
    return NewReference(digest, card.uuid, link.page, at + LASTS, sealed)


def _snapshot(
    card: Card,
    built: BuiltCard,
    decided: Decided,
    service: ServiceRules,
    hook_request: HookRequest,
) -> str:
    evaluations = decided.evaluations
    rules = {each.rule.id: each.rule for each in evaluations.items}
    case = built.case or evaluations.case
    lines = [
        each.card
        for each in decided.held.suppressed
        if each.told_under and each.told_under == built.rule
    ]
    why = {
        **why_json(rules[built.rule], case),
        "rulebook": service.digest,
        "service": service.service.id,
        "hook": hook_request.hook,
        "now": decided.at.isoformat(),
        "patient": f"Patient/{hook_request.patient_id}",
        "example": None,
        "sources": [source_json(each) for each in decided.chart.sources.values()],
        "notes": [],
        "also": [
            why_json(rules[each.rule], each.case or evaluations.case) for each in lines
        ],
        "considered": list(_considered(evaluations)),
        "silent": list(_silent(evaluations, service.rules)),
        "held_back": list(held_back_json(decided.held.suppressed)),
    }
    return _packed({"card": as_json(card), "why": why})


def _packed(told: Mapping[str, Any]) -> str:
    """A fifth of its size, which is less to encrypt and to write to the disk."""
    text = json.dumps(told, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(text, level=1)).decode()


def _considered(evaluations: Evaluations) -> Iterator[Mapping[str, Any]]:
    """What came of each rule that fired, or of which that is not known."""
    for each in evaluations.items:
        if each.outcome is not Outcome.NO:
            yield {
                "rule": each.rule.id,
                "version": each.rule.version,
                "title": each.rule.title,
                "served": each.rule.served,
                "outcome": each.outcome.value,
                "could_not_check": each.could_not_check,
                "reasons": [reason_json(reason) for reason in each.reasons],
            }


def _silent(evaluations: Evaluations, rules: Iterable[Rule]) -> Iterator[str]:
    """The rules of the service that did not fire, as ``rule@version``."""
    heard = {each.rule.id for each in evaluations.items if each.outcome != Outcome.NO}
    yield from (each.key for each in rules if each.id not in heard)


def held_back_json(suppressed: Iterable[Suppressed]) -> Iterator[Mapping[str, Any]]:
    """Yield what is true and not shown as a card, why, and since and until when."""
    for each in suppressed:
        yield {
            "rule": each.card.rule,
            "version": each.card.version,
            "title": each.card.title,
            "summary": each.card.card.summary,
            "indicator": each.card.card.indicator.name.lower(),
            "why": each.why.value,
            "since": each.shown.isoformat() if each.shown else None,
            "until": each.until.isoformat() if each.until else None,
            "detail": each.detail,
            "told_under": each.told_under or None,
        }
