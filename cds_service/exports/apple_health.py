"""Apple Health's export as a phone shares it: a ZIP, its folder, or the XML alone.

The XML's name is in the phone's language, beside a CDA and what macOS adds to archives:
it is told by its content.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo, is_zipfile

from ..wearables.adapters.apple_xml import CHUNK, LONGEST_PROLOGUE, ROOT, BrokenExport
from .files import DAMAGED_ARCHIVE

ECG_FOLDER = "electrocardiograms"
LONGEST_ECG = 8 * 1024 * 1024
"""Bytes; half a minute at 512 Hz is a tenth of it."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export."""

    name: str
    size: int
    """In bytes, not compressed."""
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class AppleExport:
    """The files that matter."""

    records: ExportedFile
    ecgs: tuple[ExportedFile, ...]
    """By their names."""


@contextmanager
def open_apple_export(path: Path) -> Iterator[AppleExport]:
    """Open an export for the time of the block.

    Raises:
        BrokenExport: if it is none, or is encrypted.
        OSError: if it cannot be read.
    """
    if path.is_dir():
        yield _choose(_in_folder(path))
    elif is_zipfile(path):
        try:
            with ZipFile(path) as archive:
                yield _choose(_in_archive(archive))
        except DAMAGED_ARCHIVE as error:
            raise BrokenExport(f"the archive is damaged: {error}") from error
    else:
        yield _choose([_plain(path, path.name)])


def read_chunks(file: ExportedFile, heard: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the file chunk by chunk; *heard* is told how many bytes were used."""
    read = 0
    with file.open() as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
            read += len(chunk)
            heard(read)


def read_ecg(file: ExportedFile) -> str:
    """Return the text of an ECG's CSV; empty where it is far too long for one."""
    if file.size > LONGEST_ECG:
        return ""
    with file.open() as stream:
        return stream.read(LONGEST_ECG).decode("utf-8-sig", "replace")


def _choose(files: Iterable[ExportedFile]) -> AppleExport:
    records, ecgs = [], []
    for file in files:
        path = PurePosixPath(file.name)
        if path.suffix.lower() == ".xml" and _is_export(file):
            records.append(file)
        elif path.suffix.lower() == ".csv" and ECG_FOLDER in path.parts:
            ecgs.append(file)
    if not records:
        raise BrokenExport("no file in it is an export of Apple Health")
    if len(records) > 1:
        names = ", ".join(each.name for each in records)
        raise BrokenExport(f"it holds several exports, name one: {names}")
    return AppleExport(records[0], tuple(sorted(ecgs, key=lambda each: each.name)))


def _is_export(file: ExportedFile) -> bool:
    with file.open() as stream:
        return ROOT.encode() in stream.read(LONGEST_PROLOGUE)


def _in_folder(folder: Path) -> Iterator[ExportedFile]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not _is_of_macos(name):
            yield _plain(path, name)


def _plain(path: Path, name: str) -> ExportedFile:
    return ExportedFile(name, path.stat().st_size, lambda: path.open("rb"))


def _in_archive(archive: ZipFile) -> Iterator[ExportedFile]:
    for info in archive.infolist():
        if info.is_dir() or _is_of_macos(info.filename):
            continue
        if info.flag_bits & 1:
            raise BrokenExport("the archive is encrypted")
        yield _member(archive, info)


def _member(archive: ZipFile, info: ZipInfo) -> ExportedFile:
    def open_it() -> BinaryIO:
        return archive.open(info)  # type: ignore[return-value]

    return ExportedFile(info.filename, info.file_size, open_it)


def _is_of_macos(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name.startswith("._")
