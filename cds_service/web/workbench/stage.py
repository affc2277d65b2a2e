"""A server of its own to try on: the same rules and code, another clock and database.

What is tried must not count as what happened. So a play has a database that is made for
it and goes with it, a tenant that nobody else has, and no numbers, log or outbox; and a
clock that can be moved without anything that is real believing it. All else is as for
any EHR: bytes in, bytes out, through parsing, gathering, deciding, recording.
"""

import os
import tempfile
import time
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from secrets import token_bytes
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from standardwebhooks import Webhook

from ...config import Clients, ConsentMode, WebhookSource, Workbench
from ...decision import World
from ...ehr.client import Ehr
from ...http.addresses import ListedServer
from ...protocol.conformance import Reply
from ...publishing.serving import Serving
from ...store.records import StoreError
from ...store.store import Store
from ...trust import SmartApp, TrustedClient
from ...trust.vault import Vault, parse_vault_keys
from ...wearables.adapters.registry import FORMATS
from ..errors import register_errors
from ..headers import add_headers
from ..hooks import build_hooks
from ..layers import Layer, surround
from ..limits import limit_requests
from ..notes import tell_timing
from ..refusals import Refusals
from ..wearables import build_wearables

TENANT = "workbench"
WATCH = "workbench-watch"
NOBODY = TrustedClient(TENANT, TENANT, "", smart=SmartApp(TENANT))
"""An EHR of which nothing is known but that it opens pages of this server."""
UNASKED = "{{what the EHR left out}}"
"""A template that nobody can fill, so that nothing is asked by it."""


@dataclass(frozen=True, slots=True)
class PlaySetting:
    """Who calls, and what they let the server do."""

    client: TrustedClient = NOBODY
    server: ListedServer | None = None
    """The one FHIR server that may be read."""
    needs_token: bool = False
    """Whether that wants a token."""
    consent: ConsentMode = ConsentMode.ASSUMED
    """What it means that a wearer has said nothing."""


class NoStage(Exception):
    """Nothing can be played on; a sentence for the page says why, and what to do."""


class Uncounted:
    """Takes every number and keeps none."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: None


@dataclass(slots=True)
class PlayStage:
    """A server that is played on, for one play."""

    world: World
    app: Flask
    client: TrustedClient
    secret: str
    now: datetime
    """What its clock says; it may be moved."""

    @property
    def ehr(self) -> Ehr:
        """An EHR that calls it."""
        return Ehr(self.world.config.public_url, way=self.exchange)

    def withhold(self, service: tuple[str, str], keys: Collection[str]) -> None:
        """Have nothing be read of a FHIR server for these prefetch keys."""
        rulebook = self.world.rulebook
        known = rulebook.services[service]
        queries = tuple(
            replace(each, template=UNASKED) if each.key in keys else each
            for each in known.queries
        )
        services = {**rulebook.services, service: replace(known, queries=queries)}
        self.world.serving.swap(replace(rulebook, services=services), self.now)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        patience: float = 0.0,
    ) -> Reply:
        """Return the whole answer to a message, which does not leave the process."""
        base = urlsplit(self.world.config.public_url).path.rstrip("/")
        path = urlsplit(url).path.removeprefix(base)
        begun = time.perf_counter()
        answer = self.app.test_client().open(
            path, method=method, headers=dict(headers or {}), data=body
        )
        content = answer.get_data()
        seconds = time.perf_counter() - begun
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, named, content, seconds, seconds)

    def deliver(self, path: str, body: str, media_type: str, id: str) -> Reply:
        """Return the answer to a signed delivery of what wearables tell."""
        signature = Webhook(self.secret).sign(id, self.now, body)
        headers = {
            "webhook-id": id,
            "webhook-timestamp": str(int(self.now.timestamp())),
            "webhook-signature": signature,
            "Content-Type": media_type,
        }
        url = self.world.config.public_url + path
        return self.exchange("POST", url, headers=headers, body=body.encode())


@contextmanager
def open_stage(
    world: World, now: datetime, setting: PlaySetting = PlaySetting()
) -> Iterator[PlayStage]:
    """Give a server that serves the rules of a world, and ends with the block.

    Raises:
        NoStage: if there is no place for what it records.
    """
    secret = f"whsec_{_random_text()}"
    client = _play_client(setting)
    formats = tuple(dict.fromkeys(("alerts", "samples", "consents", *FORMATS)))
    watch = WebhookSource(WATCH, TENANT, client.fhir_base, (secret,), formats)
    config = world.config.model_copy(
        update={
            "wearables_consent": setting.consent,
            "rate_limit": 0,
            "refusal_limit": 0,
            "workbench": Workbench.OFF,
        }
    )
    actors = world.clients.consent_actors.get(setting.client.tenant, frozenset())
    # What is kept is kept under a key of the play, if the server has one of its own.
    has_key = bool(world.vault.keys) or setting.client is NOBODY
    vault = Vault(parse_vault_keys(_random_text()) if has_key else ())
    with _own_store() as store:
        # What is served stays the same for the whole play, whatever is published.
        serving = Serving(world.rulebook, now)
        stage = PlayStage(
            world, Flask(__name__, static_folder=None), client, secret, now
        )
        stage.world = replace(
            world,
            config=config,
            clients=Clients(
                webhooks=(watch,), consent_actors={TENANT: actors}, anonymous=client
            ),
            store=store,
            serving=serving,
            clock=lambda: stage.now,
            vault=vault,
        )
        _build(stage)
        yield stage


def _random_text() -> str:
    return b64encode(token_bytes(32)).decode()


def _play_client(setting: PlaySetting) -> TrustedClient:
    """The client as the played server knows it, with patients that are nobody's."""
    listed = (setting.server,) if setting.server else ()
    return replace(
        setting.client,
        tenant=TENANT,
        issuer="",
        fhir_servers=listed if setting.needs_token else (),
        open_fhir_servers=() if setting.needs_token else listed,
    )


def _build(stage: PlayStage) -> None:
    app, world = stage.app, stage.world
    app.extensions |= {"cds_service": world, "cds_metrics": Uncounted()}
    timing = Layer(after=tell_timing)
    surround(
        app, [add_headers(world.config), timing, limit_requests(app, world.config)]
    )
    register_errors(app, tell_reasons=True)
    refusals = Refusals(world.store, world.clock)
    app.register_blueprint(build_hooks(world, _say_nothing, refusals))
    app.register_blueprint(build_wearables(world))


def _say_nothing(event: str, **facts: object) -> None:
    """Keep what is played out of the log."""


@contextmanager
def _own_store() -> Iterator[Store]:
    """A database that nobody else opens, in memory where there is a place for that."""
    with ExitStack() as stack:
        try:
            making = tempfile.TemporaryDirectory(prefix="cds-try-", dir=_place())
            file = Path(stack.enter_context(making)) / "try.sqlite"
            file.write_bytes(_template())
        except (OSError, StoreError) as error:
            raise NoStage(_advise(error)) from error
        store = Store.open(f"sqlite:///{file}")
        stack.callback(store.close)
        yield store


@cache
def _template() -> bytes:
    """A database of our schema that holds nothing."""
    with tempfile.TemporaryDirectory(prefix="cds-try-", dir=_place()) as folder:
        file = Path(folder) / "empty.sqlite"
        store = Store.open(f"sqlite:///{file}")
        store.make_tables()
        store.close()
        return file.read_bytes()


def _place() -> str | None:
    """The folder that TMPDIR names, else memory, else None for the system's choice."""
    memory = "/dev/shm"  # nosec B108 # a folder of ours is made in it
    usual = memory if os.access(memory, os.W_OK) else None
    return os.environ.get("TMPDIR") or usual


def _advise(error: OSError | StoreError) -> str:
    where = _place() or "the folder for temporary files"
    why = error.strerror if isinstance(error, OSError) else ""
    return (
        "Nothing can be played here: a trial keeps a small database of its own, which"
        f" could not be made in {where} ({why or 'the database failed'}). Make room"
        " there, or start the server with TMPDIR set to a folder in which it may"
        " write. Then open this page again."
    )
