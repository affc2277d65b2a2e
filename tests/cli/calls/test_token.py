"""Keys and tokens for testing, and which check a token fails."""

import json
import stat
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main

AUDIENCE = "https://cds.example/cds-services"
ISSUER = "https://ehr.example"


def run(*words: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, ["token", *words], input=text)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a private key, its key set and a clients file."""
    made = run("key", "--out", str(tmp_path / "dev.pem"))
    (tmp_path / "dev.jwks.json").write_text(made.stdout)
    (tmp_path / "clients.yaml").write_text(
        f"clients: [{{id: ehr, iss: '{ISSUER}', keys_file: dev.jwks.json}}]"
    )
    return tmp_path


def mint(home: Path, *more: str) -> str:
    named = ("--key", str(home / "dev.pem"), "--iss", ISSUER, "--aud", AUDIENCE)
    made = run("mint", *named, *more)
    assert made.exit_code == 0, made.output
    return made.stdout


def check(home: Path, text: str, *more: str) -> Result:
    clients = ("--clients", str(home / "clients.yaml"))
    return run("check", "--aud", AUDIENCE, *clients, *more, text=text)


def test_a_minted_token_passes_every_check(home: Path) -> None:
    text = mint(home)

    told = check(home, text)

    assert told.exit_code == 0, told.output
    assert "trusted as ehr, unless it was already used" in told.stdout
    assert "FAILS" not in told.stdout
    assert text.strip().rpartition(".")[2] not in told.output


def test_a_key_is_for_its_owner_alone_and_is_never_overwritten(home: Path) -> None:
    file = home / "dev.pem"
    before = file.read_bytes()

    again = run("key", "--out", str(file))

    assert again.exit_code == 1
    assert file.read_bytes() == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("alg", ["ES256", "ES512", "RS384"])
def test_keys_of_other_kinds_sign_with_their_own_algorithm(
    tmp_path: Path, alg: str
) -> None:
    file = tmp_path / "dev.pem"
    made = run("key", "--alg", alg, "--kid", "k1", "--out", str(file))

    text = run("mint", "--key", str(file), "--iss", ISSUER, "--aud", AUDIENCE).stdout

    (jwk,) = json.loads(made.stdout)["keys"]
    assert "d" not in jwk and jwk["kid"] == "k1"
    assert jwt.get_unverified_header(text.strip())["alg"] == alg


def test_a_token_says_what_it_was_told_to(home: Path) -> None:
    jku = f"{ISSUER}/jwks"

    text = mint(home, "--kid", "k", "--jku", jku, "--tenant", "n", "--lifetime", "60")

    header = jwt.get_unverified_header(text.strip())
    claims = jwt.decode(text.strip(), options={"verify_signature": False})
    assert (header["kid"], header["jku"], header["typ"]) == ("k", jku, "JWT")
    assert (claims["tenant"], claims["exp"] - claims["iat"]) == ("n", 60)


def header(text: str) -> dict[str, object]:
    return jwt.get_unverified_header(text.strip())


def test_a_key_says_its_id_and_the_clients_file_whose_it_is(tmp_path: Path) -> None:
    for name in ("north", "south"):
        file = str(tmp_path / f"{name}.pem")
        made = run("key", "--kid", f"{name} 1", "--alg", "ES256", "--out", file)
        (tmp_path / f"{name}.json").write_text(made.stdout)
    clients = tmp_path / "clients.yaml"
    clients.write_text(
        "clients:\n"
        f"  - {{id: n, iss: '{ISSUER}/n', keys_file: north.json}}\n"
        f"  - {{id: s, iss: '{ISSUER}/s', keys_file: south.json, tenants: [t]}}\n"
    )
    key = ("--key", str(tmp_path / "south.pem"))

    done = run("mint", *key, "--aud", AUDIENCE, "--clients", str(clients))

    assert done.exit_code == 0, done.output
    claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert header(done.stdout)["kid"] == "south 1"
    assert (claims["iss"], claims["tenant"]) == (f"{ISSUER}/s", "t")


def test_the_only_client_signs_with_a_key_that_is_at_its_url(tmp_path: Path) -> None:
    run("key", "--kid", "k", "--out", str(tmp_path / "dev.pem"))
    clients = tmp_path / "clients.yaml"
    clients.write_text(f"clients: [{{id: n, iss: '{ISSUER}', jku: '{ISSUER}/jwks'}}]")
    key = ("--key", str(tmp_path / "dev.pem"))

    done = run("mint", *key, "--aud", AUDIENCE, "--clients", str(clients))

    claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert (header(done.stdout)["kid"], claims["iss"]) == ("k", ISSUER)


def test_a_key_made_elsewhere_is_called_what_the_clients_file_calls_it(
    home: Path,
) -> None:
    key = home / "dev.pem"
    head, _, pem = key.read_text().partition("\n")
    assert head == "kid: dev"
    key.write_text(pem)
    clients = ("--clients", str(home / "clients.yaml"))

    done = run("mint", "--key", str(key), "--aud", AUDIENCE, *clients)

    assert check(home, done.stdout).exit_code == 0


@pytest.mark.parametrize(
    ("keeps_kid", "more", "sentence"),
    [
        (True, (), "--iss is needed: who signs, as the server's clients file has it."),
        (False, ("--iss", "i"), "--kid is needed: the key's id"),
        (True, ("--clients", "no.yaml"), "no.yaml: No such file"),
        (True, ("--clients", "two.yaml"), "two.yaml has several clients"),
    ],
)
def test_what_a_token_lacks_is_asked_for(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    keeps_kid: bool,
    more: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(home)
    key, other = home / "dev.pem", run("key", "--out", str(home / "other.pem"))
    (home / "other.json").write_text(other.stdout)
    (home / "two.yaml").write_text(
        "clients: [{id: a, iss: a, keys_file: other.json},"
        " {id: b, iss: b, jku: 'https://b.example/jwks'}]"
    )
    if not keeps_kid:
        key.write_text(key.read_text().partition("\n")[2])

    done = run("mint", "--key", str(key), "--aud", AUDIENCE, *more)

    assert done.exit_code == 2
    assert sentence in " ".join(done.output.split())


@pytest.mark.parametrize("kid", ["", " ", "a\nb", "é"])
def test_a_key_is_named_by_one_line_of_ascii(tmp_path: Path, kid: str) -> None:
    done = run("key", "--kid", kid, "--out", str(tmp_path / "dev.pem"))

    assert done.exit_code == 2 and not (tmp_path / "dev.pem").exists()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--kid", "other"), "key        FAILS  unknown kid"),
        (("--lifetime", "7200"), "times      FAILS  the token lives too long"),
        (("--lifetime", "-120"), "times      FAILS  the token has expired"),
    ],
)
def test_the_check_that_fails_is_named(
    home: Path, more: tuple[str, ...], line: str
) -> None:
    told = check(home, mint(home, *more))

    assert told.exit_code == 1
    assert line in told.stdout
    assert "a server with this clients file would answer 401" in told.stdout


def test_a_changed_signature_fails_and_is_not_printed(home: Path) -> None:
    signed, _, signature = mint(home).strip().rpartition(".")
    forged = signature[::-1]

    told = check(home, f"Bearer {signed}.{forged}")

    assert told.exit_code == 1
    assert "signature  FAILS  the signature is wrong" in told.stdout
    assert forged not in told.output and signature not in told.output


def test_an_unknown_issuer_is_named_with_what_else_is_wrong(home: Path) -> None:
    (home / "clients.yaml").write_text(
        "clients: [{id: ehr, iss: other, keys_file: dev.jwks.json}]"
    )

    told = check(home, mint(home))

    assert "issuer     FAILS  unknown issuer or tenant" in told.stdout
    assert "audience   ok" in told.stdout


def test_an_old_token_can_be_looked_at_as_of_its_day(home: Path) -> None:
    text = mint(home)

    assert check(home, text, "--at", "2031-01-01").exit_code == 1
    assert check(home, text, "--at", "tomorrow").exit_code == 2


@pytest.mark.parametrize("text", ["", "abc", "a.b.c"])
def test_what_is_no_token_is_said_to_be_none(home: Path, text: str) -> None:
    told = check(home, text)

    assert (told.exit_code, told.stdout[:17]) == (1, "token      FAILS ")


def test_a_clients_file_that_is_wrong_cannot_be_held_against(home: Path) -> None:
    (home / "clients.yaml").write_text("client: []")

    told = check(home, "a.b.c")

    assert told.exit_code == 2
    assert "did you mean `clients`?" in told.output
