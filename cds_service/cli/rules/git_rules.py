"""Rules folders as they were at a revision, by the git command."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from ...rulebook.language import SIZE_LIMIT
from ...rulebook.load import SUFFIX
from .compiled import CouldNotRun

PATIENCE = 60
"""Seconds that git may take."""


def files_at(revision: str, folder: Path) -> dict[str, str]:
    """The rule files of *folder* as they were at a git revision.

    Raises:
        CouldNotRun: if there is no git, no repository or no such revision.
    """
    commit = _git(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options",
        f"{revision}^{{commit}}",
    )  # fmt: skip
    archive = _git(folder, "archive", "--format=tar", commit.decode().strip())
    files: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            parts = member.name.split("/")
            hidden = any(each.startswith((".", "#", "~")) for each in parts)
            if not member.isfile() or hidden or not member.name.endswith(SUFFIX):
                continue
            if member.size > SIZE_LIMIT:
                raise CouldNotRun(f"{revision}:{member.name} is too large")
            content = tar.extractfile(member)
            assert content is not None
            files[member.name] = _text(content.read(), f"{revision}:{member.name}")
    if not files:
        raise CouldNotRun(f"{folder} holds no rules at {revision}")
    return files


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CouldNotRun(f"{name} is not UTF-8") from error


def _git(folder: Path, *words: str) -> bytes:
    program = shutil.which("git")
    if program is None:
        raise CouldNotRun("the git command is not there; name two folders instead")
    try:
        done = subprocess.run(  # nosec B603 # git, no shell, words of ours
            [program, "-C", str(folder), *words],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CouldNotRun(f"git took longer than {PATIENCE} seconds") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1] if said else f"{words[-1].partition('^')[0]} is no revision"
        raise CouldNotRun(f"git: {reason}")
    return done.stdout
