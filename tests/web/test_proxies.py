import pytest

from cds_service.web.limits import Proxies, find_address, find_network

PROXIES = Proxies.of(["10.0.0.0/24", "2001:db8:1::1"])


def address(peer: str, said: str = "", **headers: str) -> str | None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": said, **headers}
    return find_address(environ, PROXIES)


def test_without_a_proxy_it_is_the_peer() -> None:
    assert address("192.0.2.7") == "192.0.2.7"
    assert find_address({"REMOTE_ADDR": "192.0.2.7"}, Proxies()) == "192.0.2.7"


@pytest.mark.parametrize("peer", ["192.0.2.7", "10.0.1.1", "127.0.0.1"])
def test_who_is_no_listed_proxy_is_not_believed(peer: str) -> None:
    assert address(peer, "203.0.113.9") == peer


def test_a_listed_proxy_says_who_called() -> None:
    assert address("10.0.0.1", "203.0.113.9") == "203.0.113.9"
    assert address("2001:db8:1::1", "203.0.113.9") == "203.0.113.9"
    assert address("::ffff:10.0.0.1", "203.0.113.9") == "203.0.113.9"


def test_what_the_caller_wrote_itself_left_of_that_is_not_read() -> None:
    assert address("10.0.0.1", "10.0.0.9, 1.1.1.1, 203.0.113.9") == "203.0.113.9"


def test_several_listed_proxies_are_passed_one_by_one() -> None:
    said = "1.1.1.1, 203.0.113.9, 10.0.0.3,10.0.0.2"

    assert address("10.0.0.1", said) == "203.0.113.9"
    assert address("10.0.0.1", "10.0.0.3, 10.0.0.2") == "10.0.0.3"


@pytest.mark.parametrize("said", ["", "unknown", "_hidden", "1.2.3", ", ", "x, y"])
def test_where_a_proxy_says_no_address_it_is_the_proxy(said: str) -> None:
    assert address("10.0.0.1", said) == "10.0.0.1"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_addresses_are_read_as_proxies_write_them(said: str, found: str) -> None:
    assert address("10.0.0.1", said) == found


def test_no_other_header_is_read() -> None:
    found = address(
        "10.0.0.1", HTTP_FORWARDED="for=203.0.113.9", HTTP_X_REAL_IP="203.0.113.9"
    )

    assert found == "10.0.0.1"


def test_an_ipv6_subscriber_is_one_caller_with_all_its_addresses() -> None:
    assert find_network("2001:db8:0:1::a") == find_network("2001:db8:0:1:ffff::b")
    assert find_network("2001:db8:0:2::a") != find_network("2001:db8:0:1::a")
    assert find_network("192.0.2.7") != find_network("192.0.2.8")


def test_a_peer_without_an_address_is_nobody_in_particular() -> None:
    assert address("") is None
    assert find_network(None) == find_network("")
