"""Pictures of every page, for people to look at: ``make screenshots``.

Pages are those of a real server, by the link of a card and the EHR's sign-in.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from cds_service.fhir.models import check_resource
from cds_service.publishing.publisher import Publisher
from cds_service.store.store import Store

from ..e2e.conftest import ignore, write_rules
from ..smart_server import running
from .browsing import WIDTHS, running_browser, visiting
from .hospital import Hospital, link_of, running_hospital

PAGES = ("card", "why", "timeline", "consent")
WITHOUT_A_SESSION = ("/smart/register", "/smart/start", "/smart/s/0000/why")
SCHEMES = ("light", "dark")


def prepare(folder: Path) -> Path:
    """Return a folder of the shipped rules, and a database in which they passed."""
    write_rules(folder / "rules")
    store = Store.open(f"sqlite:///{folder / 'store.sqlite'}")
    store.migrate()
    now = datetime.now(UTC)
    Publisher(
        folder / "rules", store, "pictures", check_resource, lambda: now, ignore
    ).publish()
    store.close()
    return folder


def take(hospital: Hospital, browser: Browser, folder: Path) -> Iterator[Path]:
    """Take every page at every width in both schemes; yield each picture."""
    patient = hospital.admit("picture", "Peter")
    link = link_of(hospital.open_chart(patient)[0])
    answered = answer(hospital, browser)
    for scheme in SCHEMES:
        for width, height in WIDTHS.items():
            size = {"width": width, "height": height}
            options = {"viewport": size, "color_scheme": scheme}
            with visiting(
                browser, hospital.base, own_host_only=False, **options
            ) as visitor:
                page = hospital.launch(visitor, patient, link)
                under = page.url.rpartition("/")[0]
                addresses = {name: f"{under}/{name}" for name in PAGES}
                for path in WITHOUT_A_SESSION:
                    addresses[path.strip("/").replace("/", "-")] = hospital.base + path
                for name, address in addresses.items():
                    page.goto(address)
                    file = folder / f"{name}-{width}-{scheme}.png"
                    page.screenshot(path=str(file), full_page=True)
                    yield file
                for name, page in {
                    "card-answered": hospital.launch(visitor, *answered),
                    "why-now": hospital.launch(visitor, patient),
                }.items():
                    if name.startswith("card"):
                        page.goto(page.url.rpartition("/")[0] + "/card")
                    file = folder / f"{name}-{width}-{scheme}.png"
                    page.screenshot(path=str(file), full_page=True)
                    yield file


def answer(hospital: Hospital, browser: Browser) -> tuple[str, Any]:
    """Override a card; return its patient, and the link that leads to it again."""
    patient = hospital.admit("answered", "Paula")
    link = link_of(hospital.open_chart(patient)[0])
    with visiting(browser, hospital.base, own_host_only=False) as visitor:
        page = hospital.launch(visitor, patient, link)
        page.goto(page.url.rpartition("/")[0] + "/card")
        page.get_by_label("Somebody else wore the device").check()
        page.get_by_role("button", name="Record as overridden").click()
    return patient, link


def main(folder: Path) -> None:
    """Take all pictures into a folder, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (scratch / "prepared").mkdir()
        (scratch / "server").mkdir()
        smart = stack.enter_context(running())
        prepared = prepare(scratch / "prepared")
        hospital = stack.enter_context(
            running_hospital(scratch / "server", prepared, smart)
        )
        browser = stack.enter_context(running_browser())
        for file in take(hospital, browser, folder):
            print(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
