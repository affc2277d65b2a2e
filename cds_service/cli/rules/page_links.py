"""To which clients of the clients file cards come without their links to pages.

Rules folder and clients file are looked at together here alone: an author who has both
learns from ``check`` who will not see a link, which is no fault of either.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...config import Clients, InvalidConfig, load_clients
from ...rulebook.compile import SERVICES
from ...rulebook.engine import Rulebook, ServiceRules
from ...rulebook.language import Document, Finding, Findings
from ...rulebook.load import Checked
from ...trust import DEFAULT_LIFETIME

CODE = "CDS513"
MOST_NAMED = 5
"""Clients that are named; of more it is said how many."""
HELP = (
    "the card must say all that a clinician has to know; only clients with `smart` in"
    " the clients file open such pages"
)


class NoClients(Exception):
    """The clients file cannot be used; a sentence says why."""


def tell_links_left_out(checked: Checked, file: Path) -> Iterator[Finding]:
    """Yield a note for each service some of whose clients open no pages.

    Nothing is said of a rulebook that has errors.

    Raises:
        NoClients: if the clients file cannot be read, or is wrong.
    """
    try:
        clients = load_clients(file, development=True, lifetime=DEFAULT_LIFETIME)
    except InvalidConfig as error:
        raise NoClients(f"{file} cannot be used: {error}") from error
    if checked.rulebook is not None:
        yield from _notes(checked.rulebook, checked.documents[SERVICES], clients)


def _notes(
    rulebook: Rulebook, document: Document, clients: Clients
) -> Iterator[Finding]:
    findings = Findings()
    for index, entry in enumerate(document.data["services"]):
        pages = _pages(rulebook.services, entry["id"])
        without = [
            each.client.id
            for each in clients.clients
            if each.client.smart is None and each.client.may_call(entry["id"])
        ]
        if pages and without:
            message = (
                f"links of its cards to pages ({', '.join(pages)}) are left out for"
                f" {_named(without)}, where no pages are opened"
            )
            findings.note(document, ("services", index, "id"), CODE, message, HELP)
    yield from findings


def _pages(services: Mapping[tuple[str, str], ServiceRules], id: str) -> list[str]:
    """The pages of this server that cards of a service link to, on any hook."""
    rules = (each.rules for (name, _), each in services.items() if name == id)
    links = (
        link
        for some in rules
        for rule in some
        for card in rule.cards
        for link in card.links
    )
    return sorted({each.page for each in links if each.page})


def _named(clients: Sequence[str]) -> str:
    named = ", ".join(clients[:MOST_NAMED])
    more = len(clients) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
