"""What a process begins with: settings, rules, store and FHIR become a world.

No URL is known here: a deliverer begins with the same as a server, and is not to import
what answers on the web.
"""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from . import __version__
from .audit import (
    build_configuration_event,
    compare_inventories,
    describe_change,
)
from .config import Config, Reload, load_vault
from .config.inventory import build_inventory, digest_file
from .decision import World
from .fhir.client import FhirPool
from .publishing.publisher import LEASE, build_publisher
from .publishing.serving import Serving, reopen
from .rulebook.engine import Rulebook
from .rulebook.language import Document, Finding
from .rulebook.load import InvalidRulebook
from .store.configurations import Configuration
from .store.publications import NotLeased, Publication
from .store.records import StoreError
from .store.store import Store
from .trust.vault import Vault
from .web.log import say

OTHERS_PUBLISH = "another server publishes the rules; its folder is served, not ours"
READS_A_CALL = 8
"""So many threads read from FHIR servers for each that answers calls."""
MOST_READS = 256
"""At once, in one process."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The rulebook that a server begins with."""

    rulebook: Rulebook
    notice: str = ""
    """What must be said loudly; empty where the folder itself is served."""
    documents: Mapping[str, Document] = field(default_factory=dict)
    """The files of the rulebook, parsed."""


def open_rulebook(config: Config, store: Store, holder: str) -> Opening:
    """Return what the folder makes, published; if it is broken, what was before.

    Where another process has the lease, its folder decides, not ours: an old server
    that starts again must not bring old rules back. Else *holder* has it afterwards.

    Raises:
        InvalidRulebook: if the folder is broken and nothing is published.
    """
    now = datetime.now(UTC)
    newest = store.publications.newest()
    epoch = 0
    if config.reload is Reload.ON:
        epoch = store.publications.take_lease(holder, now, LEASE)
        if newest and not epoch:
            return _reopen(store, newest, OTHERS_PUBLISH, ())
    try:
        verdict = build_publisher(config, store, say).publish(epoch)
    except NotLeased:
        # Testing took longer than the lease, and another server has it by now.
        newest = store.publications.newest()
        if newest is None:
            raise
        return _reopen(store, newest, OTHERS_PUBLISH, ())
    if verdict.rulebook:
        return Opening(verdict.rulebook, documents=verdict.documents)
    if newest is None:
        raise InvalidRulebook(verdict.findings)
    notice = (
        f"the rules in {config.rules} cannot be served; served instead are those"
        f" published {newest.at}\n{InvalidRulebook(verdict.findings)}"
    )
    return _reopen(store, newest, notice, verdict.findings)


def _reopen(
    store: Store, newest: Publication, notice: str, findings: tuple[Finding, ...]
) -> Opening:
    compiled = reopen(store, newest.digest)
    if compiled.rulebook is None:
        raise InvalidRulebook(findings or compiled.findings)
    return Opening(compiled.rulebook, notice, compiled.documents)


def record_configuration(
    config: Config, store: Store, now: datetime, beside: str = ""
) -> str:
    """Have the audit trail say what this server starts with, and who is told from now.

    Args:
        beside: What runs beside the server, where it is that: its settings are its own.

    Returns:
        What is otherwise than before, in a line; empty where nothing is.

    Raises:
        StoreError: if it cannot be recorded; then nothing is to be served.
    """
    inventory = build_inventory(config, config.clients, digest_file)
    name = socket.gethostname()
    configuration = Configuration(f"{name}/{beside}" if beside else name, inventory)
    try:
        store.outbox.subscribe([each.takes for each in config.clients.destinations])
        base = keep_identifier_base(config, store)
        before = store.configurations.record(
            configuration,
            lambda before: build_configuration_event(
                now, configuration, before, __version__
            ),
        )
    except StoreError as error:
        message = "the configuration cannot be recorded, so nothing is served"
        raise StoreError(f"{message}: {error}") from error
    notices = []
    if not config.identifier_base and base != config.public_url.rstrip("/"):
        notices.append(
            f"identifiers of what is told rest on {base}, as they did when it was told"
            " first: set CDS_IDENTIFIER_BASE to that"
        )
    if before is not None and before.at:
        told = describe_change(compare_inventories(before.inventory, inventory))
        notices += [f"configuration changed since {before.at}: {told}"] * bool(told)
    return "; ".join(notices)


def keep_identifier_base(config: Config, store: Store) -> str:
    """Return on which address the identifiers of what is told rest.

    Raises:
        StoreError: if something was told under another than is configured.
    """
    urls = (config.identifier_base, config.public_url)
    return store.outbox.keep_base(*(each.rstrip("/") for each in urls))


def build_world(
    config: Config, rulebook: Rulebook, store: Store | None = None
) -> World:
    """Return what the app needs of the world, as the settings say.

    Raises:
        StoreError: if the database URL is wrong.
    """
    store = store or Store.open(config.database_url, limits=config.database_limits)
    store.trust_clock(time.monotonic)
    store.answers_kept = timedelta(days=config.answers_kept_days)
    return World(
        config=config,
        clients=config.clients,
        store=store,
        serving=Serving(rulebook, datetime.now(UTC)),
        clock=lambda: datetime.now(UTC),
        fhir=FhirPool(min(READS_A_CALL * config.threads, MOST_READS), log=say),
        vault=load_vault(config) if config.clients.keeps_tokens else Vault(),
    )
