"""Files that are made to do harm: each is told, and each check comes to its end."""

import subprocess
import sys
from pathlib import Path

import pytest

from cds_service.fhir.models import check_resource
from cds_service.rulebook.load import check_folder

from ...waiting import PATIENCE
from .good_folder import FOLDER, GOOD, RULE, errors

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)
HOSTILE = {
    # content of the rule file, code
    "brackets": (b"[" * 50_000, "CDS008"),
    "braces": (b"{a: " * 50_000, "CDS008"),
    "dashes": (b"- " * 50_000, "CDS008"),
    "question-marks": (b"? " * 50_000, "CDS033"),
    "closed-brackets": (b"[" * 50_000 + b"]" * 50_000, "CDS008"),
    "only-closing": (b"]" * 50_000, "CDS005"),
    "nested-maps": (b"".join(b" " * n + b"a:\n" for n in range(1_300)), "CDS008"),
    "two-megabytes": (b"# x\n" * 500_000, "CDS003"),
    "one-line": (b"title: " + b"x" * 1_000_000, "CDS101"),
    "one-line-of-keys": (b"{" + b"a: 1, " * 150_000 + b"}", "CDS032"),
    "many-keys": (b"".join(b"k%d: 1\n" % n for n in range(60_000)), "CDS003"),
    "many-faults": (b"a: 1\n" * 100_000, "CDS032"),
    "many-clauses": (
        GOOD.replace(
            "    - sugar: absent\n", "    - sugar: absent\n" * 10_000, 1
        ).encode(),
        "CDS107",
    ),
    "laughs": (LAUGHS.encode(), "CDS009"),
    "anchors": (b"".join(b"- &a%d x\n" % n for n in range(50_000)), "CDS009"),
    "utf-16": (GOOD.encode("utf-16"), "CDS002"),
    "utf-32": (GOOD.encode("utf-32"), "CDS002"),
    "latin-1": (b"title: caf\xe9\n", "CDS002"),
    "half-a-character": (b"title: caf\xc3", "CDS002"),
    "surrogate": (b"title: \xed\xa0\x80", "CDS002"),
    "nul": (b"\x00" * 1_000, "CDS007"),
    "binary": (bytes(range(256)) * 100, "CDS002"),
    "quotes": (b"'" * 99_999, "CDS005"),
    "colons": (b": " * 50_000, "CDS005"),
    "tags": (b"a: " + b"!!python/object/apply:os.system [id]", "CDS030"),
    "huge-number": (b"format: " + b"9" * 900_000, "CDS104"),
    "long-name": (b"rule: " + b"a-" * 100_000 + b"a", "CDS101"),
    "braces-in-text": (
        GOOD.replace("Blood pressure", "{{ " * 100_000).encode(),
        "CDS501",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_told_and_nothing_is_served(
    name: str, tmp_path: Path
) -> None:
    content, code = HOSTILE[name]
    write(tmp_path, {RULE: content})

    checked = check_folder(tmp_path, check_resource)

    assert checked.rulebook is None
    found = [each for each in errors(checked.findings) if each.file == RULE]
    assert code in {each.code for each in found}
    assert all(len(each.message) + len(each.help) < 600 for each in found)


@pytest.mark.slow
def test_a_process_that_checks_hostile_files_comes_to_its_end(tmp_path: Path) -> None:
    write(tmp_path, {f"bad/{name}.yaml": each[0] for name, each in HOSTILE.items()})
    command = [sys.executable, "-m", "cds_service.cli", "check", str(tmp_path)]

    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    assert (ran.returncode, ran.stderr) == (1, "")
    for name, (_, code) in HOSTILE.items():
        told = [line for line in ran.stdout.splitlines() if f"bad/{name}.yaml:" in line]
        assert any(f"error[{code}]" in line for line in told), name


def write(folder: Path, more: dict[str, bytes]) -> None:
    """Write the good folder, and *more* over it."""
    for name, text in {**FOLDER, **more}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
