"""The exports of phones, each read to the end as items of the formats they are in."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path

from ..wearables.adapters import apple_health, health_connect
from ..wearables.adapters.apple_xml import BrokenExport
from ..wearables.adapters.health_connect import ExportedRow
from ..wearables.metrics import Catalogue
from ..wearables.samples import Item
from .apple_health import open_apple_export, read_chunks, read_ecg
from .health_connect import BrokenDatabase, open_health_connect, read_rows

Share = Callable[[float], None]
"""Told again and again how much of the file was read, from 0 to 1."""
DAMAGED = (BrokenExport, BrokenDatabase, OSError)
"""What reading may raise, after what stands before the place."""


def read_apple_health(
    path: Path, catalogue: Catalogue, share: Share, begin: int = 0
) -> Iterator[Item]:
    """Yield what an iPhone's export says: the ZIP, its folder, or the XML alone.

    Args:
        begin: How many items from its beginning are passed over.

    Raises:
        BrokenExport: where it is none, or breaks off.
        OSError: if it cannot be read.
    """
    with open_apple_export(path) as export:
        size = export.records.size or 1
        chunks = read_chunks(export.records, lambda read: share(min(1.0, read / size)))
        told = 0
        for element in apple_health.telling(chunks):
            told += 1
            if told > begin:
                yield apple_health.adapt_element(element, catalogue)
        for each in export.ecgs[max(0, begin - told) :]:
            yield apple_health.adapt_ecg(read_ecg(each), each.name, catalogue)


def read_health_connect(
    path: Path, catalogue: Catalogue, share: Share, begin: int = 0
) -> Iterator[Item]:
    """Yield what Health Connect's export says: the ZIP, or the database in it.

    Args:
        begin: How many items from its beginning are passed over.

    Raises:
        BrokenDatabase: where it is none, or is damaged.
        OSError: if it cannot be read.
    """
    names = catalogue.names_in(health_connect.FORMAT)
    with open_health_connect(path, names) as database:
        size = database.count() or 1

        def rows() -> Iterator[ExportedRow]:
            for number, row in enumerate(read_rows(database)):
                share(min(1.0, number / size))
                if number >= begin:
                    yield row

        yield from health_connect.adapt_rows(rows(), catalogue)


def digest_export(path: Path) -> str:
    """Return the SHA-256 of an export, in hexadecimal; of a folder, of all its files.

    Raises:
        OSError: if it cannot be read.
    """
    if not path.is_dir():
        with path.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    whole = sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        named = f"{file.relative_to(path)}\0{digest_export(file)}\0"
        whole.update(named.encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


EXPORTS: Mapping[str, Callable[[Path, Catalogue, Share, int], Iterator[Item]]] = {
    apple_health.FORMAT: read_apple_health,
    health_connect.FORMAT: read_health_connect,
}
"""By the name of the format: whole exports, which are files and never posted."""
