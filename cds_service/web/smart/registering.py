"""What to type where to have an EHR open pages here, and all URLs of that together.

The page says what the running server really asks for, and holds no secret: whoever
registers the server at an EHR's vendor has no session here yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Flask, Response

from ...connect.smart import TokenDesk, resources_of
from ...connect.smart.configuration import SignInConfiguration
from ...connect.smart.records import Provider
from ...connect.smart.scopes import scopes_to_ask
from ...decision import World
from ...http.addresses import ListedServer
from ...trust import SmartApp, TrustedClient
from ..limits import Allowance
from ..pages.shell import answer_errors, render_page
from ..public_keys import PATH as KEYS
from ..refusals import Refusals
from .leaving import add_windows, build_leaving
from .sessions import Gate, launching
from .signing_in import LAUNCHES, PREFIX, Reception, build_signing_in


@dataclass(frozen=True, slots=True)
class RegisteredApp:
    """Who this server is at one EHR, as far as everybody may know."""

    ehr: str
    fhir_base: str
    client_id: str
    proof: str
    """How it proves who it is."""
    scopes: str
    hosts: tuple[str, ...]


def add_smart(app: Flask, world: World, refusals: Refusals, tokens: TokenDesk) -> None:
    """Add every URL of the SMART app; but for one page only where an EHR opens some."""
    app.register_blueprint(build_registering(world))
    if not launching(world):
        return
    reception = Reception(Gate.of(world), tokens, refusals, Allowance(LAUNCHES))
    smart = build_signing_in(reception)
    add_windows(smart, reception)
    app.register_blueprint(smart)
    app.register_blueprint(build_leaving(reception))


def build_registering(world: World) -> Blueprint:
    """Return the page for who registers this server at the vendor of an EHR."""
    registering = Blueprint("smart_registering", __name__, url_prefix=PREFIX)
    answer_errors(registering)
    base = world.config.public_url

    @registering.get("/register")
    def show() -> Response:
        clients = tuple(launching(world).values())
        return render_page(
            "smart_register.html",
            title="Register this server at an EHR",
            launch_url=f"{base}{PREFIX}/launch",
            redirect_url=f"{base}{PREFIX}/callback",
            start_url=f"{base}{PREFIX}/start",
            keys_url=f"{base}{KEYS}",
            has_keys=bool(world.clients.published),
            origin="/".join(base.split("/")[:3]),
            newer=scopes_of(world, clients, newer=True),
            older=scopes_of(world, clients, newer=False),
            resources=read_resources(world, clients),
            apps=tuple(map(_registered, clients)),
        )

    return registering


def scopes_of(
    world: World, clients: Sequence[TrustedClient], *, newer: bool
) -> tuple[str, ...]:
    """Return every scope that may be asked for, by EHRs and without one.

    Args:
        newer: As SMART 2 writes them.
    """
    by_role = any(each.smart and each.smart.practitioner_roles for each in clients)
    kind = "v2" if newer else "v1"
    app = SmartApp("", scopes=kind, practitioner_roles=by_role)
    provider = Provider("", ListedServer(""), app)
    known = SignInConfiguration("", "", newer_scopes=newer, renews_offline=True)
    resources = read_resources(world, clients)
    asked = (
        scopes_to_ask(provider, known, resources, launched=launched)
        for launched in (True, False)
    )
    return tuple(dict.fromkeys(scope for each in asked for scope in each))


def read_resources(world: World, clients: Sequence[TrustedClient]) -> tuple[str, ...]:
    """Return the types of resources that the pages read, of these EHRs or of any."""
    some = clients or (TrustedClient("", "", ""),)
    found = {name for each in some for name in resources_of(world.rulebook, each)}
    return tuple(sorted(found))


def _registered(client: TrustedClient) -> RegisteredApp:
    app = client.smart
    assert app is not None
    proof = "a secret" if app.secret else "none: a public client"
    if app.key is not None:
        proof = f"the key {app.key.kid} ({app.key.algorithm})"
    return RegisteredApp(
        client.id, client.fhir_base, app.client_id, proof, app.scopes, app.hosts
    )
