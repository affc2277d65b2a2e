"""Every vendor, held to what all have to have."""

from pathlib import Path

import pytest

from cds_service.connect.vendors.records import Vendor
from cds_service.connect.vendors.registry import VENDORS
from cds_service.rulebook.load import check_folder
from cds_service.wearables.adapters.registry import FORMATS

SHIPPED = check_folder(Path(__file__).parents[3] / "rules").rulebook.catalogue
every_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=list(VENDORS))


@every_vendor
def test_what_it_answers_is_read_by_a_format_that_there_is(vendor: Vendor) -> None:
    assert {each.format for each in vendor.kinds} <= set(FORMATS)


@every_vendor
def test_its_kinds_are_of_metrics_that_the_site_knows(vendor: Vendor) -> None:
    for kind in vendor.kinds:
        assert kind.metrics
        assert set(kind.metrics) <= set(SHIPPED.metrics)


@every_vendor
def test_its_kinds_have_names_of_their_own(vendor: Vendor) -> None:
    names = [each.name for each in vendor.kinds]

    assert len(set(names)) == len(names)


@every_vendor
def test_it_is_reached_by_https_alone(vendor: Vendor) -> None:
    urls = [vendor.authorize_url, vendor.token_url, vendor.api, vendor.revoke_url]

    assert all(each.startswith("https://") for each in urls if each)
    assert not vendor.api.endswith("/")


@every_vendor
def test_what_one_kind_alone_tells_is_told_by_no_other(vendor: Vendor) -> None:
    for kind in vendor.kinds:
        others = [each for each in vendor.kinds if each is not kind]
        # An alert of the rhythm has no metric: the pulse stands for it in a Consent.
        told = {
            e for other in others if other.name not in ALERTS for e in other.metrics
        }
        assert set(kind.sole) <= set(kind.metrics) - told


ALERTS = ("irregular-rhythm-notification",)
