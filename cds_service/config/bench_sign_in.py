"""Who may come into the workbench by the site's own sign-in, in the clients file.

An OpenID provider says who somebody is, and one claim of it what they may do. Whoever
has none of the values that are written here does not come in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictBool

from ..http.addresses import ListedServer, Reach
from ..trust import SmartApp
from .fields import Entry, FhirUrl, ServerEntry, Text
from .problems import Reporter
from .smart_apps import AppReader, SmartEntry, read_host


class RolesEntry(Entry):
    """By role the values of the claim that give it."""

    viewer: tuple[Text, ...] = ()
    author: tuple[Text, ...] = ()
    operator: tuple[Text, ...] = ()


class BenchEntry(Entry):
    """Who we are at the site's OpenID provider, and whom it lets in."""

    issuer: FhirUrl
    """``iss`` of its id tokens; its configuration lies below."""
    client_id: Text
    secret_file: Text | None = None
    """One line; relative to the clients file."""
    private_key_file: Text | None = None
    """PEM, JWK or JWK Set; relative to the clients file."""
    kid: Annotated[str, Field(max_length=200)] = ""
    hosts: tuple[Annotated[str, AfterValidator(read_host)], ...] = ()
    """That its endpoints may have, beside the issuer's own."""
    private: StrictBool = False
    """Whether it is in a private network."""
    ca_file: Text | None = None
    """PEM file of authorities of the site's own; relative to the clients file."""
    claim: Text
    """Of the id token, such as ``groups``."""
    roles: RolesEntry


@dataclass(frozen=True, slots=True)
class BenchSignIn:
    """Where people of the site sign in, and what they may do then."""

    server: ListedServer
    app: SmartApp
    claim: str
    viewers: tuple[str, ...] = ()
    """Values of the claim, as those below."""
    authors: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()

    def role_of(self, claims: Mapping[str, Any]) -> str:
        """Return what somebody may do; empty where nothing."""
        told = claims.get(self.claim)
        values = told if isinstance(told, list) else [told]
        roles = {
            "operator": self.operators,
            "author": self.authors,
            "viewer": self.viewers,
        }
        has = (
            role
            for role, wanted in roles.items()
            if any(isinstance(each, str) and each in wanted for each in values)
        )
        return next(has, "")


def load_bench_sign_in(
    entry: BenchEntry | None,
    folder: Path,
    development: bool,
    reporter: Reporter,
    find_authorities: Callable[[ServerEntry], str],
) -> BenchSignIn | None:
    """Return the sign-in, checked; problems go to the reporter.

    Args:
        folder: Of the clients file.
        find_authorities: Gives the file of those that vouch for a server.
    """
    if entry is None:
        return None
    app = AppReader(folder, development, reporter).app(
        SmartEntry(
            client_id=entry.client_id,
            secret_file=entry.secret_file,
            private_key_file=entry.private_key_file,
            kid=entry.kid,
            issuer=entry.issuer,
            hosts=entry.hosts,
        ),
        ("workbench",),
    )
    roles = (entry.roles.viewer, entry.roles.author, entry.roles.operator)
    if not any(roles):
        reporter.add(("workbench", "roles"), "admits nobody; name a value of the claim")
    listed = ServerEntry(url=entry.issuer, private=entry.private, ca_file=entry.ca_file)
    outside = Reach.LOCAL if development else Reach.PUBLIC
    server = ListedServer(
        entry.issuer.rstrip("/"),
        max(outside, Reach.PRIVATE if entry.private else outside),
        find_authorities(listed),
    )
    return BenchSignIn(server, app, entry.claim, *roles)
