"""The site's sign-in for the workbench, as the clients file writes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.config import InvalidConfig, load_clients

USUAL = {
    "issuer": "https://id.hospital.example",
    "client_id": "cds",
    "claim": "groups",
    "roles": {"operator": ["cds-operators"]},
}


def load(folder: Path, told: Any, development: bool = False) -> Any:
    file = folder / "clients.yaml"
    file.write_text(json.dumps({"workbench": told}))
    return load_clients(file, development=development, lifetime=60).workbench


def test_who_may_come_in_is_told_by_a_claim(tmp_path: Path) -> None:
    sign_in = load(tmp_path, USUAL)

    assert sign_in.role_of({"groups": ["x", "cds-operators"]}) == "operator"
    assert sign_in.role_of({"groups": "cds-operators"}) == "operator"
    assert sign_in.role_of({"groups": ["nurses"]}) == ""
    assert sign_in.role_of({}) == ""


def test_of_several_roles_the_one_that_may_most_counts(tmp_path: Path) -> None:
    roles = {"operator": ["a"], "viewer": ["b"], "author": ["c"]}
    sign_in = load(tmp_path, {**USUAL, "roles": roles})

    assert sign_in.role_of({"groups": ["b", "c"]}) == "author"
    assert sign_in.role_of({"groups": ["b", "a"]}) == "operator"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"roles": {}}, "workbench.roles: admits nobody"),
        ({"roles": {"admin": ["a"]}}, "unknown field"),
        ({"issuer": "http://id.example"}, "must begin with https://"),
        ({"secret_file": "none"}, "workbench.secret_file: none: No such file"),
        ({"claim": ""}, "workbench.claim"),
        ({"hosts": ["https://x"]}, "must be the name of a host alone"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_field(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(tmp_path, {**USUAL, **change})

    assert says in str(refused.value)
