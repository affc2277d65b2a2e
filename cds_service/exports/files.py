"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_atomically(
    file: Path, text: str | Iterable[str], mode: int | None = None
) -> None:
    """Put *text* into a file as UTF-8; whoever reads it sees the old or the new.

    Without a *mode*, a file that is there keeps its own.

    Raises:
        OSError: if it cannot be written; the old one is then untouched.
    """
    if mode is None:
        mode = file.stat().st_mode & 0o7777 if file.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as written:
            written.writelines([text] if isinstance(text, str) else text)
            written.flush()
            os.fsync(written.fileno())
        os.chmod(name, mode)
        os.replace(name, file)
    finally:
        # Once it has taken the other's place, nothing is left under this name.
        with suppress(FileNotFoundError):
            os.unlink(name)


def _umask() -> int:
    """The mask of this process, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
