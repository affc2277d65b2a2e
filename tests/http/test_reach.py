"""Which addresses a FHIR server may have."""

import pytest

from cds_service.http.addresses import Reach, advice, kind_of, refused_kind

HOST = "ehr.example"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.216.34", ""),
        ("9.255.255.255", ""),
        ("172.15.255.255", ""),
        ("172.32.0.0", ""),
        ("2606:2800:220:1::1", ""),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("100.64.0.1", "shared"),
        ("100.127.255.255", "shared"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("::ffff:127.0.0.1", "IPv4 inside IPv6"),
        ("::ffff:93.184.216.34", "IPv4 inside IPv6"),
        ("::127.0.0.1", "IPv4 inside IPv6"),
        ("64:ff9b::7f00:1", "IPv4 inside IPv6"),
        ("64:ff9b:1::a00:1", "IPv4 inside IPv6"),
        ("2002:7f00:1::", "IPv4 inside IPv6"),
        ("2001:0:7f00:1::1", "IPv4 inside IPv6"),
        ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("2001:db8::1", "reserved"),
        ("100::1", "reserved"),
        ("fec0::1", "reserved"),
        ("nonsense", "reserved"),
        ("", "reserved"),
    ],
)
def test_a_13_every_address_is_of_a_kind(address, kind):
    assert kind_of(address) == kind


@pytest.mark.parametrize(
    ("address", "reaches"),
    [
        ("93.184.216.34", [Reach.PUBLIC, Reach.PRIVATE, Reach.LOCAL]),
        ("10.1.2.3", [Reach.PRIVATE, Reach.LOCAL]),
        ("100.64.0.1", [Reach.PRIVATE, Reach.LOCAL]),
        ("fd12::1", [Reach.PRIVATE, Reach.LOCAL]),
        ("127.0.0.1", [Reach.LOCAL]),
        ("::1", [Reach.LOCAL]),
        ("169.254.169.254", []),
        ("::ffff:10.0.0.1", []),
        ("64:ff9b::a00:1", []),
        ("0.0.0.0", []),
        ("224.0.0.1", []),
        ("240.0.0.1", []),
    ],
)
def test_a_13_a_name_leads_only_as_far_inside_as_its_listing_says(address, reaches):
    assert [each for each in Reach if not refused_kind(HOST, address, each)] == reaches


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.1.1", "fd12::1"])
def test_a_13_an_address_that_is_listed_itself_is_meant(address):
    assert refused_kind(address, address, Reach.PUBLIC) == ""
    assert refused_kind(address, "10.9.9.9", Reach.PUBLIC) == "private"


def test_a_13_localhost_is_this_machine_and_nothing_else():
    assert refused_kind("localhost", "127.0.0.1", Reach.PUBLIC) == ""
    assert refused_kind("fhir.localhost", "::1", Reach.PUBLIC) == ""
    assert refused_kind("localhost", "169.254.169.254", Reach.PUBLIC) == "link-local"
    assert refused_kind("notlocalhost", "127.0.0.1", Reach.PUBLIC) == "loopback"


def test_what_to_set_is_said():
    assert "private: true" in advice("private")
    assert "private: true" in advice("shared")
    assert "by its address" in advice("loopback")
