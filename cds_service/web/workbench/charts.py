"""Charts to try rules on: fixtures, a folder of bundles, FHIR servers, an upload.

What is chosen is looked for among what was found; no path and no address of the user's
reaches the disk or the network. What an upload holds is not kept here: it goes back to
the browser with the page, and comes again with the next question.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from ...decision import World
from ...ehr.fixture_server import load_records
from ...ehr.fixtures import fetch_from, load_case, resolve_times
from ...ehr.prefetch import Fetch
from ...http.addresses import ListedServer
from ...protocol.errors import CdsError
from ..json import parse_json

FIXTURES = Path(__file__).parents[2] / "shipped" / "fixtures"
MOST_FILES = 500
"""Bundles of a folder that are offered."""
FIRST = "fires"
"""The fixture that a page begins with, if it is there."""
UPLOAD = "upload"
Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChartChoice:
    """A chart that can be chosen."""

    key: str
    label: str
    group: str
    file: Path | None = None
    """Of a bundle, or the folder of a fixture."""
    server: ListedServer | None = None
    client: str = ""
    """Whose FHIR server it is."""
    open: bool = False
    """Whether the server may be read without a token."""


@dataclass(frozen=True, slots=True)
class BroughtChart:
    """A chart that was read, as an EHR holds it."""

    patients: tuple[str, ...] = ()
    """Ids, of which one is asked about."""
    fetch: Fetch | None = None
    """None where the service has to read a FHIR server itself."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What a fixture says of the call."""
    alerts: Any = None
    """A delivery of wearables' alerts that a fixture has."""
    drafts: tuple[Resource, ...] = ()
    """Orders that are not signed."""


class NoChart(Exception):
    """It cannot be read; a sentence for the page says why."""


def list_choices(world: World) -> tuple[ChartChoice, ...]:
    """Return every chart that can be chosen here, but for an upload."""
    return (*_fixtures(), *_bundles(world.config.workbench_charts), *_servers(world))


def bring(
    choice: ChartChoice | None, upload: str, world: World, now: datetime
) -> BroughtChart:
    """Return a chart.

    Args:
        choice: None for the upload.
        upload: The text of a Bundle.
        now: From when on relative times in it are counted.

    Raises:
        NoChart: if there is none.
    """
    if choice is None:
        body = upload.encode("utf-8", "replace")
        if len(body) > world.config.body_limit:
            raise NoChart(
                f"The Bundle has more than {world.config.body_limit:,} bytes."
            )
        return _of_bundle(body, world, now)
    if choice.server is not None:
        return BroughtChart()
    assert choice.file is not None
    try:
        if choice.file.is_dir():
            return _of_fixture(choice.file, now)
        with choice.file.open("rb") as file:
            body = file.read(world.config.source_body_limit + 1)
    except (OSError, ValueError) as error:
        raise NoChart(f"{choice.label} cannot be read.") from error
    if len(body) > world.config.source_body_limit:
        raise NoChart(f"{choice.label} is larger than a chart may be.")
    return _of_bundle(body, world, now)


def _fixtures() -> Iterator[ChartChoice]:
    for folder in sorted(FIXTURES.glob("*/*/request.json")):
        case = folder.parent
        name = case.name.replace("-", " ")
        key = f"fixture {case.parent.name}/{case.name}"
        yield ChartChoice(key, name, f"Fixtures: {case.parent.name}", case)


def _bundles(folder: Path | None) -> Iterator[ChartChoice]:
    if folder is None or not folder.is_dir():
        return
    root = folder.resolve()
    found = (
        each
        for each in sorted(folder.rglob("*.json"))
        if each.is_file() and each.resolve().is_relative_to(root)
    )
    for file in islice(found, MOST_FILES):
        name = file.relative_to(folder).as_posix()
        yield ChartChoice(f"bundle {name}", name, "Bundles of the folder", file)


def _servers(world: World) -> Iterator[ChartChoice]:
    for known in world.clients.clients:
        client = known.client
        for open, servers in (
            (True, client.open_fhir_servers),
            (False, client.fhir_servers),
        ):
            for each in servers:
                key = f"server {client.id} {each.url}"
                token = "" if open else ", with a token"
                yield ChartChoice(
                    key,
                    f"{each.url} of {client.id}{token}",
                    "FHIR servers of the clients file",
                    server=each,
                    client=client.id,
                    open=open,
                )


def _of_fixture(folder: Path, now: datetime) -> BroughtChart:
    case = load_case(folder, now)
    context = case.request.get("context", {})
    return BroughtChart(
        (str(context.get("patientId", "")),),
        fetch_from(load_records([case.chart])),
        case.request,
        case.alerts,
    )


def _of_bundle(body: bytes, world: World, now: datetime) -> BroughtChart:
    try:
        bundle = parse_json(body, world.config.source_value_limit)
    except CdsError as error:
        told = "; ".join(each.text for each in error.problems)
        raise NoChart(f"This is not a Bundle: {told}") from error
    entries = list(_entries(bundle))
    if not entries:
        raise NoChart("This is not a Bundle with resources.")
    with suppress(ValueError, OverflowError):  # a text with an @ may mean no time
        entries = resolve_times(entries, now)
    records = load_records([{"resourceType": "Bundle", "entry": entries}])
    patients = tuple(records.of("Patient"))
    if not patients:
        raise NoChart("The Bundle has no Patient.")
    drafts = tuple(
        each
        for each in records.of("MedicationRequest").values()
        if each.get("status") == "draft"
    )
    return BroughtChart(patients, fetch_from(records, bundle), drafts=drafts)


def _entries(bundle: Any) -> Iterator[dict[str, Any]]:
    """What of a Bundle a server would take in; the rest is not there."""
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            continue
        if not isinstance(resource.get("resourceType"), str):
            continue
        if not isinstance(resource.get("id"), str):
            resource = {name: each for name, each in resource.items() if name != "id"}
        url = entry.get("fullUrl")
        told = {"fullUrl": url} if isinstance(url, str) else {}
        yield {**told, "resource": resource}
