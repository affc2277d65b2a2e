"""The page for integration engines says what is so."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli.mllp import mllp
from cds_service.config import load_clients
from cds_service.config.proofs import ProofKind
from cds_service.wearables.outputs.observations import episode_observation
from cds_service.wearables.outputs.oru import Engine, build_message, build_report
from cds_service.wearables.telling import ToldAs

from ..wearables.outputs.test_oru import ADA, NOW
from ..wearables.outputs.things import FRAME, an_episode

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "hl7.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_message_that_is_shown_is_what_is_sent() -> None:
    (shown,) = blocks("hl7")
    told = [episode_observation(an_episode(), ("episode", "k"), "final", FRAME)]
    report = build_report("a1b2", told, "Watch", "loinc")
    engine = Engine(receiving=("MIRTH", "MAIN"))
    assert report

    text = build_message(report, ToldAs.FINAL, ADA, engine, "ID1", NOW)

    assert text.split("\r")[:-1] == shown.splitlines()


@pytest.mark.parametrize("kind", ["destinations", "webhooks"])
def test_what_is_shown_of_the_clients_file_is_loaded(kind: str, tmp_path: Path) -> None:
    (shown,) = [each for each in blocks("yaml") if each.startswith(kind)]
    file = tmp_path / "clients.yaml"
    tenant = "webhooks: [{id: w, secrets: [whsec_" + "A" * 32 + "]}]\n"
    file.write_text(shown if kind == "webhooks" else tenant + shown)

    clients = load_clients(file, development=False, lifetime=300)

    if kind == "webhooks":
        (source,) = clients.webhooks
        assert source.proof.kind is ProofKind.MLLP
        assert source.proof.certificates == ("engine.hospital.example",)
    else:
        (destination,) = clients.destinations
        assert destination.id == "engine"


def test_every_option_of_the_command_that_is_told_is_one() -> None:
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    known = set(
        re.findall(r"--[a-z][a-z-]+", CliRunner().invoke(mllp, ["--help"]).output)
    )
    others = {"--mrn", "--authority", "--user", "--patient", "--device"}

    assert named - others <= known
    assert known - {"--help"} <= named
