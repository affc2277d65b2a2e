"""FHIR servers' addresses."""

import pytest

from cds_service.http.addresses import (
    locate,
    parse_base,
    request_target,
    resolve,
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://EHR.example/fhir/", "https://ehr.example/fhir"),
        ("https://ehr.example:443/fhir", "https://ehr.example/fhir"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/fhir", "http://[::1]:8080/fhir"),
        ("http://[0:0:0:0:0:0:0:1]:80/fhir", "http://[::1]/fhir"),
        ("https://[2001:DB8::A]/fhir", "https://[2001:db8::a]/fhir"),
        ("https://xn--bcher-kva.example/fhir", "https://xn--bcher-kva.example/fhir"),
        ("https://fhir_1/r4", "https://fhir_1/r4"),
        ("https://ehr.example/fhir/a;b=c", "https://ehr.example/fhir/a;b=c"),
    ],
)
def test_a_base_has_one_way_to_be_written(text, written):
    assert str(parse_base(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ehr.example/fhir",
        "ftp://ehr.example/fhir",
        "https:///fhir",
        "https://a:b@ehr.example/fhir",
        "https://ehr.example/fhir?x=y",
        "https://ehr.example/fhir#x",
        "https://ehr.example/fhir/..",
        "https://ehr.example/fhir/%2E%2e/x",
        "https://ehr.example/a%2f..%2fb",
        "https://ehr.example:0/fhir",
        "https://ehr.example:x/fhir",
        "https://ehr .example/fhir",
        "https://ehr.example\\@evil/fhir",
        "https://ehr\u2024example/fhir",
        "https://[::1/fhir",
        "https://[::1]evil/fhir",
        "https://evil[::1]/fhir",
        "https://[fe80::1%25eth0]/fhir",
        "https://[v1.x]/fhir",
        "https://2130706433/fhir",
        "https://127.1/fhir",
        "https://127.0.0.1./fhir",
        "https://0x7f.0.0.1/fhir",
        "https://0x7f000001/fhir",
        "https://127.0.0.0x1/fhir",
        "https://0177.0.0.1/fhir",
        "https://127.0.0.01/fhir",
        "https://127.0.0.256/fhir",
        "https://1.2.3.4.5/fhir",
        "https://0/fhir",
        "https://127\u30020.0.1/fhir",
        "https://127\uff0e0\uff0e0\uff0e1/fhir",
        "https://\uff11\uff12\uff17.0.0.1/fhir",
        "https://ehr\uff61example/fhir",
        "https://b\u00fccher.example/fhir",
        "https://ehr%2eexample/fhir",
        "https://ehr.example./fhir",
        "https://.ehr.example/fhir",
        "https://ehr..example/fhir",
        "https://-ehr.example/fhir",
        f"https://{'a' * 64}.example/fhir",
        f"https://{'a.' * 127}example/fhir",
        "https://ehr.example/fhir/%252e%252e/x",
        "https://ehr.example/fhir/..;/x",
        "https://ehr.example/fhir/..%3bx=y/x",
        "https://ehr.example/fhir%5c..%5cx",
    ],
)
def test_a_13_what_is_no_plain_address_is_no_base(text):
    assert parse_base(text) is None


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("Condition?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("/fhir/Condition?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("//ehr.example/fhir?c=1", "https://ehr.example/fhir?c=1"),
        ("//EHR.EXAMPLE:443/fhir?c=1", "https://ehr.example/fhir?c=1"),
        ("https://EHR.example:443/fhir?c=1#x", "https://ehr.example/fhir?c=1"),
        ("HTTPS://ehr.example/fhir?c=1", "https://ehr.example/fhir?c=1"),
        ("?page=2#top", "https://ehr.example/fhir/Condition?page=2"),
        ("./Condition?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("../fhir/Condition?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("?n=//evil.example", "https://ehr.example/fhir/Condition?n=//evil.example"),
        ("//evil.example/fhir?c=1", None),
        ("http://ehr.example/fhir?c=1", None),
        ("https://ehr.example:8443/fhir?c=1", None),
        ("https://ehr.example./fhir?c=1", None),
        ("https://ehr.example.evil.example/fhir?c=1", None),
        ("https://ehr%2eexample/fhir?c=1", None),
        ("https://ehr\u3002example/fhir?c=1", None),
        ("https://\u00e9hr.example/fhir?c=1", None),
        ("https://[2001:db8::1]/fhir?c=1", None),
        ("https://a@ehr.example/fhir?c=1", None),
        ("https://ehr.example@evil.example/fhir?c=1", None),
        ("https://ehr.example/fhir/%2e%2e/x", None),
        ("https://ehr.example/fhir/%252e%252e/x", None),
        ("https://ehr.example/fhir/..;/x", None),
        ("https:Condition?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("https:/evil.example", None),
        ("https:///evil.example/fhir", None),
        ("javascript:alert(1)", None),
        ("https://ehr.example/other?c=1", None),
        ("https://ehr.example/fhirs", None),
        ("../x", None),
    ],
)
def test_p_17_a_link_is_rebuilt_on_the_base_or_refused(link, target):
    base = parse_base("https://ehr.example/fhir")

    assert resolve(base, link, "https://ehr.example/fhir/Condition?a=b") == target


@pytest.mark.parametrize(
    ("base", "link", "target"),
    [
        ("https://[2001:db8::1]/r4", "https://[2001:DB8:0::1]/r4?c", "/r4?c"),
        ("https://[2001:db8::1]/r4", "https://[2001:db8::2]/r4?c", None),
        ("https://xn--hr-9ia.example/r4", "https://XN--HR-9IA.example/r4?c", "/r4?c"),
        ("https://xn--hr-9ia.example/r4", "https://\u00e9hr.example/r4?c", None),
    ],
)
def test_p_17_a_link_to_an_ipv6_or_idn_host_is_rebuilt_or_refused(base, link, target):
    found = resolve(parse_base(base), link, f"{base}/Condition?a=b")

    assert found == (target and base.removesuffix("/r4") + target)


def test_a_base_without_a_path_holds_every_path():
    base = parse_base("http://ehr.example")

    assert resolve(base, "/Condition?a=b", str(base)) == (
        "http://ehr.example/Condition?a=b"
    )


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("/fhir/Condition?patient=p1&_count=200", None),
        ("/fhir/a;b=c?d=e,f:g@h!$'()*+/?", None),
        ("/fhir?code=http%3a%2F%2Floinc.org%7C1", None),
        ("", "/"),
        ("?page=2", "/?page=2"),
        ("/fhir?code=a|b&name=Jos\u00e9", "/fhir?code=a%7Cb&name=Jos%C3%A9"),
        ('/fhir?a=[1]&b="x"<y>^`{z}', "/fhir?a=%5B1%5D&b=%22x%22%3Cy%3E%5E%60%7Bz%7D"),
        ("/fhir?a=%41%", "/fhir?a=%41%25"),
        ("/fhir?a=100%&b=%zz|", "/fhir?a=100%25&b=%25zz%7C"),
        ("/fhir?a=\u0661", "/fhir?a=%D9%A1"),
        ("/fhir?a=b c\r\nX: y", "/fhir?a=b%20c%0D%0AX:%20y"),
    ],
)
def test_what_cannot_stand_in_a_request_line_is_escaped(text, target):
    assert request_target(text) == (text if target is None else target)


@pytest.mark.parametrize(
    ("url", "server", "target"),
    [
        ("https://EHR.example:443/token", "https://ehr.example/token", "/token"),
        ("http://[::1]:8080/a/?b=c#d", "http://[::1]:8080/a", "/a/?b=c"),
        ("https://ehr.example", "https://ehr.example", "/"),
    ],
)
def test_an_address_names_a_server_and_what_is_asked_of_it(url, server, target):
    base, asked = locate(url)

    assert (str(base), asked) == (server, target)


@pytest.mark.parametrize(
    "url",
    ["https://a:b@ehr.example/x", "ftp://ehr.example/x", "https://127.1/x", "/x"]
    + ["https://ehr.example/a/../x", "https://ehr.example/x y", "https:///x"],
)
def test_a_13_what_is_no_plain_address_is_not_located(url):
    assert locate(url) is None
