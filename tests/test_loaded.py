"""What is loaded: in service nothing that develops it, nothing before it is used."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.utils import canonicalize_name

from cds_service.cli import Verbs, main
from cds_service.cli.consents import consent
from cds_service.cli.valuesets import valueset
from cds_service.ehr.fixtures import fill_prefetch, load_case

HOME = Path(__file__).parents[1]
TAKEN_UP = {"chardet", "greenlet"}
"""What requests and SQLAlchemy use where it happens to be installed."""
NEEDLESS = {
    "alembic", "mako", "jsonschema", "lark", "rfc3987_syntax", "pint", "ucumvert",
    "psycopg", "hl7", "unittest",
}  # fmt: skip
"""What a server that starts again, and answers a call, does without."""
SERVICE = """
import json, sys
from cds_service.app import create_app
from cds_service.config import load_config

def tell(value):
    print("told:" + json.dumps(value), flush=True)

http = create_app(load_config(json.loads(sys.argv[1]))).test_client()
(service,) = http.get("/cds-services").json["services"]
tell(service["prefetch"])
answer = http.post("/cds-services/" + service["id"], json=json.loads(input()))
assert answer.status_code == 200, answer.json
tell([len(answer.json["cards"]), sorted(sys.modules)])
"""


def loaded(statement: str) -> set[str]:
    """Return the modules that are there after a statement, in a process of its own."""
    program = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages(lock: str) -> set[str]:
    lines = (HOME / lock).read_text("utf-8").splitlines()
    return {
        canonicalize_name(each.partition("==")[0])
        for each in lines
        if not each.startswith("#")
    }


def owners(modules: set[str]) -> set[str]:
    """Return the packages that modules came with."""
    known = packages_distributions()
    tops = {each.partition(".")[0] for each in modules}
    return {canonicalize_name(name) for top in tops for name in known.get(top, [])}


def test_a_server_that_answers_a_call_has_loaded_nothing_that_develops_it(
    tmp_path: Path, new_database: Callable[[Path], str]
) -> None:
    case = load_case(HOME / "fixtures" / "patient-view" / "fires", datetime.now(UTC))
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(HOME / "rules"),
        "CDS_DATABASE_URL": new_database(tmp_path / "store.sqlite"),
        "CDS_RELOAD": "off",
    }
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin and server.stdout
        told = (
            json.loads(each.removeprefix("told:"))
            for each in server.stdout
            if each.startswith("told:")
        )
        context = case.request["context"]
        prefetch = fill_prefetch(next(told), case.chart, context)
        print(json.dumps({**case.request, "prefetch": prefetch}), file=server.stdin)
        server.stdin.close()
        cards, modules = next(told)

    of_service = owners(set(modules) - loaded(""))
    developing = packages("requirements-dev.lock")
    assert cards > 0
    assert "flask" in of_service and "pytest" in developing
    assert of_service & developing <= TAKEN_UP
    assert NEEDLESS & set(modules) == set()


def test_an_app_is_imported_without_what_few_processes_need() -> None:
    modules = loaded("import cds_service.app")

    rarely = {"alembic", "fhirclient.models.resource", "jsonschema", "pint", "psycopg"}
    assert "sqlalchemy" in modules
    assert rarely & modules == set()


def test_a_schema_that_is_up_to_date_needs_nobody_who_changes_it(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite"
    begin = f"from cds_service.store.store import Store\nStore.open({url!r}).migrate()"

    first, again = loaded(begin), loaded(begin)

    assert {"alembic", "mako"} <= first
    assert {"alembic", "mako"} & again == set()


def test_who_watches_the_rules_beside_a_server_imports_no_other(
    tmp_path: Path, new_database: Callable[[Path], str]
) -> None:
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(HOME / "rules"),
        "CDS_DATABASE_URL": new_database(tmp_path / "store.sqlite"),
    }
    # A parent that is not there: it has ended before there is anything to watch.
    watch = ["publish", "--watch", "--parent", "0"]
    modules = loaded(
        f"import os\nos.environ.update({settings})\n"
        "from cds_service.cli import main\n"
        f"main({watch}, standalone_mode=False)"
    )

    assert {"cds_service.publishing.publisher", "cds_service.web.log"} <= modules
    assert {"flask", "gunicorn", "cds_service.app"} & modules == set()


def test_who_delivers_imports_nothing_that_answers_on_the_web() -> None:
    modules = loaded("import cds_service.cli.delivering")

    assert "cds_service.delivery.dispatcher" in modules
    assert {"flask", "gunicorn", "jinja2", "cds_service.app"} & modules == set()


def test_the_list_of_commands_imports_nothing_else() -> None:
    modules = loaded(
        "from cds_service.cli import main\nmain(['--help'], standalone_mode=False)"
    )

    ours = {each for each in modules if each.startswith("cds_service")}
    assert ours == {"cds_service", "cds_service.cli", "cds_service.garbage"}
    assert owners(modules) & packages("requirements.lock") == {"click"}


@pytest.mark.parametrize(
    ("group", "package"), [("consent", "consents"), ("valueset", "valuesets")]
)
def test_a_list_of_commands_imports_none_of_them(group: str, package: str) -> None:
    modules = loaded(
        "from cds_service.cli import main\n"
        f"main(['{group}', '--help'], standalone_mode=False)"
    )

    inside = f"cds_service.cli.{package}."
    assert f"cds_service.cli.{package}" in modules
    assert [each for each in modules if each.startswith(inside)] == []


@pytest.mark.parametrize(
    ("group", "path"), [(main, []), (consent, ["consent"]), (valueset, ["valueset"])]
)
def test_each_command_says_in_one_line_what_it_does(
    group: Verbs, path: list[str]
) -> None:
    help = CliRunner().invoke(main, [*path, "--help"], terminal_width=80).output
    listed = help.partition("Commands:\n")[2].splitlines()

    assert len(listed) == len(group.list_commands(None))
    assert all(each.startswith("  ") and each.endswith(".") for each in listed)
    assert not any(each.endswith("...") for each in listed)
