"""Verbs about vendors' clouds, and what they share: a site as its server is set up."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import SystemRandom

import click

from ...config import Cloud, Config, InvalidConfig, load_config, load_vault
from ...connect.asking import PullWorld
from ...connect.granting import CloudDesk
from ...connect.subscribing import Subscriber, disconnect
from ...http.connections import ConnectionPool
from ...store.grants.records import CloudGrant
from ...store.records import StoreError
from ...store.store import Store
from ...store.upkeep.patients import Asked
from ...trust.vault import Vault
from ..database import open_store


@dataclass(frozen=True, slots=True)
class OpenSite:
    """The settings of the server that this environment is of, and what they name."""

    config: Config
    store: Store
    vault: Vault
    pool: ConnectionPool

    @property
    def desks(self) -> tuple[CloudDesk, ...]:
        """One for each cloud."""
        return tuple(
            CloudDesk(each, self.store, self.vault, self.pool)
            for each in self.config.clients.clouds
        )

    def desk(self, name: str) -> CloudDesk:
        """Return the desk of a source, or of a vendor where the site has one of it.

        Raises:
            click.ClickException: if there is none, or several.
        """
        found = [e for e in self.desks if name == e.cloud.id]
        found = found or [e for e in self.desks if name == e.cloud.vendor_name]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(each.cloud.id for each in found)
            raise click.ClickException(f"there are several of {name}; name one: {ids}")
        text = f"no cloud in the clients file has the id or vendor {name}"
        raise click.ClickException(text)

    @property
    def subscriber(self) -> Subscriber:
        """Who looks after what vendors notify of."""
        return build_subscriber(self.config)


def build_subscriber(config: Config) -> Subscriber:
    """Return who looks after what vendors notify a server of."""
    world = PullWorld(lambda: datetime.now(UTC), time.sleep, SystemRandom().random)
    return Subscriber(world, config.public_url)


@contextmanager
def open_site() -> Iterator[OpenSite]:
    """Open what the environment names, as the server has it.

    Raises:
        click.ClickException: if something is wrong with it, or the database refuses.
    """
    try:
        config = load_config()
        vault = load_vault(config)
    except InvalidConfig as error:
        raise click.ClickException(str(error)) from error
    store, pool = open_store(config.database_url), ConnectionPool()
    try:
        yield OpenSite(config, store, vault, pool)
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    finally:
        pool.close()
        store.close()


def end_grants(store: Store, asked: Asked) -> None:
    """End what a patient permits at vendors, and say of what could not be ended there.

    The tokens are removed with the rest; without them nobody can end it any more.
    """
    grants = store.grants.of_patient(asked.patient)
    if not grants:
        return
    try:
        config = load_config()
        vault = load_vault(config)
    except InvalidConfig as error:
        problems = dict.fromkeys(grants, str(error).splitlines()[0])
    else:
        problems = _ended(grants, config, store, vault, asked)
    for grant, problem in problems.items():
        wearer = grant.wearer
        text = f"{wearer.source} {wearer.user}: not ended at the vendor ({problem})"
        click.echo(f"{text}; the wearer can end it there", err=True)


def _ended(
    grants: Sequence[CloudGrant],
    config: Config,
    store: Store,
    vault: Vault,
    asked: Asked,
) -> dict[CloudGrant, str]:
    """Why which were not ended at their vendors."""
    problems, pool, subscriber = {}, ConnectionPool(), build_subscriber(config)
    clouds = {(each.tenant, each.id): each for each in config.clients.clouds}
    for grant in grants:
        cloud = clouds.get((grant.wearer.tenant, grant.wearer.source))
        problems[grant] = "no cloud in the clients file has that id"
        if cloud is not None:
            desk = CloudDesk(cloud, store, vault, pool)
            told = disconnect(desk, grant, asked.by, subscriber)
            problems[grant] = "; ".join(filter(None, told))
    pool.close()
    return {grant: problem for grant, problem in problems.items() if problem}


def named(cloud: Cloud) -> str:
    """Return what people call a cloud."""
    return f"{cloud.vendor.title} ({cloud.id})"
