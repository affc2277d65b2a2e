import socket

import pytest

from cds_service.cli.serve.demo import choose_port
from cds_service.ehr.exchange import Unanswered

from ...ports import free_port


def test_the_port_that_was_asked_for_is_taken_or_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        monkeypatch.setenv("CDS_PORT", str(taken))
        with pytest.raises(Unanswered, match=f"CDS_PORT={taken} cannot be used"):
            choose_port()

    monkeypatch.setenv("CDS_PORT", str(taken))
    assert choose_port() == taken


@pytest.mark.parametrize("wanted", ["http", "-1", "99999999"])
def test_a_port_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("CDS_PORT", wanted)

    with pytest.raises(Unanswered, match="name a free port"):
        choose_port()


def test_without_a_wish_any_free_port_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CDS_PORT", raising=False)

    assert choose_port() > 0
