"""A server with Consents, a database, and the command that reads one to the other."""

import pytest
from click.testing import CliRunner

from cds_service.cli import main
from cds_service.store.store import Store

from .told import consent


@pytest.fixture
def ehr(serve):
    """45 Consents of 45 patients on pages of 20."""
    ehr = serve(map(consent, range(45)))
    ehr.scope = "system/Consent.rs"
    return ehr


@pytest.fixture
def database(database_url):
    return database_url


@pytest.fixture
def store(database):
    store = Store.open(database)
    yield store
    store.close()


@pytest.fixture
def words(ehr, database, store, alert_rules):
    """The command line."""
    words = ["consent", "read", "--fhir", ehr.base, "--database", database]
    return [*words, "--rules", str(alert_rules)]


@pytest.fixture
def read(words):
    def run(*options, **environment):
        arguments = [*words, *map(str, options)]
        return CliRunner().invoke(main, arguments, env=environment)

    return run


@pytest.fixture
def known(ehr, store, read):
    """Consents that the server once had, and has no longer."""
    ehr.resources += [consent(77), consent(78, "Patient/p2")]
    assert read().exit_code == 0
    del ehr.resources[-2:]
    ehr.asked.clear()
