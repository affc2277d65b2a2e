"""The keyring: asked no more often than it may be, and never empty for an outage."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cds_service.http.addresses import ListedServer
from cds_service.trust import KeyFormat, Keyring, KeyServer, KeySet, VerificationKey
from cds_service.trust.documents import KeyServerUnread, PublishedKeys
from cds_service.trust.keyring import KeysKnown, run_beside

from ..waiting import PATIENCE

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "https://ehr.example/jwks"
SERVER = KeyServer(ListedServer(URL))
LISTER = KeyServer(ListedServer("https://ehr.example/jkus"), KeyFormat.URL_LIST)


class Publisher:
    """A key server: what it publishes can be changed, and it can be down."""

    def __init__(self, *kids: str) -> None:
        self.kids = kids
        self.problems: tuple[tuple[tuple[int | str, ...], str], ...] = ()
        self.others: tuple[tuple[tuple[int | str, ...], str], ...] = ()
        self.urls: frozenset[str] = frozenset()
        self.down = False
        self.asked: list[str] = []

    def __call__(self, server: KeyServer) -> PublishedKeys:
        self.asked.append(server.url)
        if self.down:
            raise KeyServerUnread("timeout")
        if server.format is KeyFormat.URL_LIST:
            return PublishedKeys(urls=self.urls, age=900)
        keys = {kid: VerificationKey(("ES384",), kid) for kid in self.kids}
        return PublishedKeys(KeySet(keys, self.problems, self.others), age=900)


def at_once(work: Callable[[], None]) -> None:
    work()


def ring(publisher: Publisher) -> Keyring:
    return Keyring(publisher, run=at_once)


def found(
    keyring: Keyring, kid: str, seconds: float = 0, jku: str | None = None
) -> bool:
    now = NOW + timedelta(seconds=seconds)
    return keyring.find((SERVER,), jku, kid, now)[0] is not None


def test_keys_are_fetched_once_for_many_tokens() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)

    assert all(found(keyring, "a", second) for second in range(100))
    assert publisher.asked == [URL]


def test_two_clients_of_one_url_share_its_keys() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)

    for server in (SERVER, KeyServer(ListedServer(URL))):
        assert keyring.find((server,), None, "a", NOW)[0]
    assert len(publisher.asked) == 1


def test_s_12_a_new_kid_is_found_by_one_refresh() -> None:
    publisher = Publisher("old")
    keyring = ring(publisher)
    assert found(keyring, "old")
    publisher.kids = ("old", "new")

    assert found(keyring, "new", 60)
    assert len(publisher.asked) == 2


def test_s_12_unknown_kids_ask_the_url_once_a_minute() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)

    for second in range(180):
        assert not found(keyring, f"kid-{second}", second)

    assert len(publisher.asked) == 3


def test_a_url_that_never_answered_is_asked_again_after_seconds() -> None:
    publisher = Publisher("a")
    publisher.down = True
    keyring = ring(publisher)
    assert keyring.find((SERVER,), None, "a", NOW) == (
        None,
        "the client's keys cannot be had",
    )
    publisher.down = False

    assert not found(keyring, "a", 4)
    assert found(keyring, "a", 5)


def test_keys_that_grew_old_are_used_while_they_are_fetched_beside() -> None:
    publisher = Publisher("a")
    waiting: list[Callable[[], None]] = []
    keyring = Keyring(publisher, run=waiting.append)
    assert found(keyring, "a")
    publisher.kids = ("b",)

    assert found(keyring, "a", 901)
    (work,) = waiting
    work()
    assert not found(keyring, "a", 902)
    assert found(keyring, "b", 902)


def test_keys_outlive_an_outage_of_their_url_but_not_for_ever() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)
    assert found(keyring, "a")
    publisher.down = True

    assert found(keyring, "a", 12 * 3600)
    assert not found(keyring, "a", 12 * 3600 + 901)
    publisher.down = False
    assert found(keyring, "a", 12 * 3600 + 1000)


def test_an_empty_set_takes_every_key_away() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)
    assert found(keyring, "a")
    publisher.kids = ()
    found(keyring, "a", 901)

    assert keyring.find((SERVER,), None, "a", NOW + timedelta(seconds=902)) == (
        None,
        "the client publishes no key to verify tokens with",
    )


def test_a_clock_that_was_set_back_hours_lets_no_key_live_longer() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)
    assert found(keyring, "a")
    publisher.kids = ()

    assert not found(keyring, "a", -13 * 3600)


def test_s_10_a_foreign_jku_is_refused_and_not_contacted() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)

    for jku in ("https://evil.example/jwks", URL + "/", URL + "?x=1", URL.upper(), ""):
        assert keyring.find((SERVER,), jku, "a", NOW) == (
            None,
            "jku is not the client's",
        )
    assert publisher.asked == []
    assert found(keyring, "a", jku=URL)


def test_of_several_urls_the_jku_chooses_and_without_one_any_may_have_the_key() -> None:
    other = KeyServer(ListedServer("https://ehr.example/other"))

    def fetch(server: KeyServer) -> PublishedKeys:
        kid = server.url.rpartition("/")[2]
        return PublishedKeys(KeySet({kid: VerificationKey(("ES384",), kid)}))

    keyring = Keyring(fetch)
    servers = (SERVER, other)

    assert keyring.find(servers, None, "jwks", NOW)[0]
    assert keyring.find(servers, None, "other", NOW)[0]
    assert keyring.find(servers, other.url, "other", NOW)[0]
    assert keyring.find(servers, URL, "other", NOW)[1] == "unknown kid"


def test_a_url_may_list_the_urls_of_key_sets() -> None:
    publisher = Publisher("a")
    publisher.urls = frozenset({URL})
    keyring = ring(publisher)

    assert keyring.find((LISTER,), URL, "a", NOW)[0]
    assert publisher.asked == [LISTER.url, URL]
    foreign = "https://evil.example/jwks"
    assert keyring.find((LISTER,), foreign, "a", NOW)[1] == "jku is not the client's"
    assert keyring.find((LISTER,), None, "a", NOW)[1] == "jku is not the client's"
    assert keyring.find((LISTER,), LISTER.url, "a", NOW)[0] is None
    assert foreign not in publisher.asked


def test_a_url_that_joins_the_list_is_found_and_one_that_left_is_refused() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)
    assert keyring.find((LISTER,), URL, "a", NOW)[0] is None
    publisher.urls = frozenset({URL})

    assert keyring.find((LISTER,), URL, "a", NOW + timedelta(seconds=60))[0]
    publisher.urls = frozenset()
    later = NOW + timedelta(seconds=961)
    keyring.find((LISTER,), URL, "a", later)
    assert keyring.find((LISTER,), URL, "a", later + timedelta(seconds=1))[0] is None


def test_threads_that_need_the_same_key_at_once_ask_once() -> None:
    publisher, gate = Publisher("a"), threading.Barrier(20)
    keyring = Keyring(publisher)
    answers: list[bool] = []

    def ask() -> None:
        gate.wait()
        answers.append(found(keyring, "a"))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [True] * 20
    assert publisher.asked == [URL]


def test_what_is_wrong_with_a_url_or_a_key_is_said_in_the_log() -> None:
    said: list[tuple[str, dict[str, object]]] = []
    publisher = Publisher("a")
    publisher.down = True

    keyring = Keyring(publisher, lambda event, **facts: said.append((event, facts)))
    found(keyring, "a")

    assert said == [
        ("keys not fetched", {"url": URL, "problem": "timeout", "usable": False})
    ]


def test_what_was_fetched_and_what_of_it_is_not_used_is_said_in_the_log() -> None:
    said: list[tuple[str, dict[str, object]]] = []
    publisher = Publisher("a", "b")
    publisher.problems = (((2, "kid"), "another key has the same kid"),)
    publisher.others = (((3,), "the key is not for signatures"),)

    keyring = Keyring(publisher, lambda event, **facts: said.append((event, facts)))
    found(keyring, "a")

    assert said == [
        (
            "key not used",
            {
                "url": URL,
                "place": "keys.2.kid",
                "problem": "another key has the same kid",
            },
        ),
        (
            "key not used",
            {
                "url": URL,
                "place": "keys.3",
                "problem": "the key is not for signatures",
            },
        ),
        ("keys fetched", {"url": URL, "keys": 2}),
    ]


def test_a_key_that_is_found_comes_with_no_complaint() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)
    a, b = VerificationKey(("ES384",), "a"), VerificationKey(("ES384",), "b")

    assert keyring.find((SERVER,), None, "a", NOW) == (a, "")
    publisher.kids = ("a", "b")
    later = NOW + timedelta(seconds=60)
    assert keyring.find((SERVER,), None, "b", later) == (b, "")


def test_keys_grow_old_at_the_end_of_their_age_and_not_before() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)

    assert found(keyring, "a") and found(keyring, "a", 899)
    assert len(publisher.asked) == 1
    assert found(keyring, "a", 900)
    assert len(publisher.asked) == 2


def test_keys_of_a_server_that_is_down_serve_for_their_age_and_twelve_hours() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)
    assert found(keyring, "a")
    publisher.down = True

    assert found(keyring, "a", 900 + 12 * 3600 - 1)
    assert not found(keyring, "a", 900 + 12 * 3600)


def test_keys_are_used_though_the_clock_was_set_back_by_up_to_twelve_hours() -> None:
    publisher = Publisher("a")
    keyring = ring(publisher)
    assert found(keyring, "a")
    publisher.down = True

    assert found(keyring, "a", -12 * 3600)
    assert not found(keyring, "a", -12 * 3600 - 1)


def test_by_default_old_keys_are_fetched_beside_the_call_that_found_them_old() -> None:
    publisher = Publisher("a")
    held, fetched = threading.Event(), threading.Event()

    def fetch(server: KeyServer) -> PublishedKeys:
        if publisher.asked:
            held.wait(PATIENCE)
            fetched.set()
        return publisher(server)

    keyring = Keyring(fetch)
    assert found(keyring, "a")

    assert found(keyring, "a", 900)
    assert publisher.asked == [URL]
    held.set()
    assert fetched.wait(PATIENCE)


def test_what_is_done_beside_keeps_no_process_from_its_end() -> None:
    seen: list[bool] = []
    done = threading.Event()

    def work() -> None:
        seen.append(threading.current_thread().daemon)
        done.set()

    run_beside(work)

    assert done.wait(PATIENCE)
    assert seen == [True]


def test_a_set_that_holds_no_key_for_signatures_is_said_to_hold_none() -> None:
    keyring = ring(Publisher())

    assert keyring.find((SERVER,), None, "a", NOW) == (
        None,
        "the client publishes no key to verify tokens with",
    )


def test_looking_at_what_is_known_asks_nobody() -> None:
    publisher = Publisher("b", "a")
    keyring = ring(publisher)
    assert keyring.look_at(SERVER, NOW) == KeysKnown()
    assert publisher.asked == []
    assert found(keyring, "a")
    fetched_again = NOW + timedelta(seconds=900)

    known = KeysKnown(("a", "b"), NOW, fetched_again, is_usable=True, asked=NOW)
    assert keyring.look_at(SERVER, NOW) == known
    late = NOW + timedelta(days=1)
    assert keyring.look_at(SERVER, late) == replace(known, is_usable=False)
    assert keyring.look_at(LISTER, NOW) == KeysKnown()
    assert publisher.asked == [URL]


def test_what_is_known_tells_when_an_outage_was_seen() -> None:
    publisher = Publisher("a")
    publisher.down = True
    keyring = ring(publisher)
    assert not found(keyring, "a")

    assert keyring.look_at(SERVER, NOW) == KeysKnown(asked=NOW)
    publisher.down = False
    assert found(keyring, "a", 5)
    publisher.down = True
    assert found(keyring, "a", 1000)

    known = keyring.look_at(SERVER, NOW + timedelta(seconds=1000))
    assert (known.since, known.asked) == (
        NOW + timedelta(seconds=5),
        NOW + timedelta(seconds=1000),
    )


def test_a_server_is_known_while_what_it_published_holds() -> None:
    keyring = ring(Publisher("a"))
    assert not keyring.knows(SERVER, NOW)
    assert found(keyring, "a")

    assert keyring.knows(SERVER, NOW)
    assert not keyring.knows(LISTER, NOW)
    assert not keyring.knows(SERVER, NOW + timedelta(days=1))
