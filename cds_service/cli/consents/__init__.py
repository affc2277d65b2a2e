"""``cds-service consent``: what patients permit of their wearable data.

Here too is what its verbs share: whose Consents, and how a server reads them.
"""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ...config import Clients, ConsentMode, InvalidConfig, Profile, load_clients
from ...decision.consenting import open_gate
from ...exports.consents import Tenancy
from ...trust import DEFAULT_LIFETIME
from .. import Verb, Verbs
from ..rules.compiled import compile_folder
from ..valuesets import rules_option


@click.group(
    cls=Verbs,
    package=__name__,
    verbs={
        "read": Verb("read", "Store all Consents of a FHIR server."),
        "send": Verb("send", "Make a Consent of a patient and deliver it."),
        "show": Verb(
            "show", "Show a patient's stored Consents, and what they permit now."
        ),
    },
)
def consent() -> None:
    """See what patients permit of their wearable data, and let the server know it."""


def tenancy_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return options that name a tenant; the command gets it as ``tenancy``."""

    @wraps(command)
    def with_tenancy(
        tenant: str,
        fhir_base: str,
        rules: Path | None,
        clients: Path | None,
        assumed: bool,
        **arguments: Any,
    ) -> None:
        known = load_known_clients(clients) if clients else None
        rulebook = compile_folder(rules).rulebook
        mode = ConsentMode.ASSUMED if assumed else ConsentMode.REQUIRED
        gate = open_gate(rulebook, known or Clients(), tenant, mode)
        tenancy = Tenancy(
            tenant,
            fhir_base.rstrip("/"),
            gate,
            known,
            rulebook.digest,
            tuple(rulebook.detectors.values()),
        )
        command(tenancy=tenancy, **arguments)

    wrapped: Callable[..., None] = with_tenancy
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _assumed() -> bool:
    """Return whether a server with this environment takes patients to agree."""
    told = os.environ.get("CDS_WEARABLES_CONSENT")
    if not told:
        return os.environ.get("CDS_PROFILE") == Profile.DEVELOPMENT
    return told == ConsentMode.ASSUMED


def load_known_clients(file: Path) -> Clients:
    """Return the clients of a file.

    Raises:
        click.UsageError: if it is none.
    """
    # As in development: nobody is let in here, and no server of the file is asked.
    try:
        return load_clients(file, development=True, lifetime=DEFAULT_LIFETIME)
    except InvalidConfig as error:
        raise click.UsageError(str(error)) from error


clients_options: tuple[Callable[[Callable[..., None]], Callable[..., None]], ...] = (
    click.option(
        "--clients",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="CDS_CLIENTS_FILE",
        show_envvar=True,
        help="The clients file, which says how Consents name the hospital.",
    ),
    click.option(
        "--assumed/--required",
        default=_assumed,
        show_default="CDS_WEARABLES_CONSENT",
        help=(
            "Whether consent is assumed until patients say anything about wearable"
            " data."
        ),
    ),
)
"""How a server reads Consents."""
_OPTIONS: tuple[Callable[[Callable[..., None]], Callable[..., None]], ...] = (
    click.option(
        "--tenant", default="default", show_default=True, help="Whose patients."
    ),
    click.option(
        "--fhir-base",
        default="-",
        show_default=True,
        help=(
            "The FHIR server that the patient ids belong to, if the tenant has several."
        ),
    ),
    rules_option,
    *clients_options,
)
