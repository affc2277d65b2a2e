"""What a folder of value sets may not hold, or must say, by the terms of terminologies.

Nothing here is legal advice. What is found is what the owners' terms speak of: names
where only identifiers may be used, tables, hierarchies, and notices that are owed.

Sources: docs.snomed.org "Global Patient Set"; atcddd.fhi.no "Copyright disclaimer";
loinc.org/license; nlm.nih.gov RxNorm and UMLS terms of service; ama-assn.org CPT.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ...fhir.code_systems import SYSTEMS, canonical_system
from ..language.diagnostics import Findings, quote
from ..language.document import Document, Path
from ..language.json_source import parse_json
from ..language.source import parse_yaml
from .checks import entries
from .files import NOTICE, terminology_kind
from .lexicon import FOLDER
from .measured import UNITS

CPT = frozenset(
    {
        "cpt",
        "hcpcs-level-i",
        "http://www.ama-assn.org/go/cpt",
        "urn:oid:2.16.840.1.113883.6.12",
        "2.16.840.1.113883.6.12",
    }
)
_LICENSED = re.compile(
    r"(?i)https?://(www\.nlm\.nih\.gov/research/umls/(?!rxnorm\b).+"
    r"|(www\.)?meddra\.org.*|hl7\.org/fhir/sid/icd-1[01](-mms)?$|id\.who\.int/icd.*)"
    r"|(urn:oid:)?2\.16\.840\.1\.113883\.6\.(86|163|3)$"
)
"""Systems that reach a user under a licence of the UMLS or of their owners."""
_VSAC = re.compile(r"(?i)https?://(cts\.nlm\.nih\.gov/fhir|vsac\.nlm\.nih\.gov)/")

_OWED = {
    SYSTEMS["rxnorm"]: ("RxNorm", ("National Library of Medicine",)),
    SYSTEMS["loinc"]: ("LOINC", ("loinc.org/license",)),
    SYSTEMS["snomed"]: ("SNOMED CT", ("SNOMED",)),
}
"""System to its name, and words that its notice holds."""
_CODED = ("valuesets/", FOLDER)
_COMMENT = re.compile(r"\s#.*[^\W\d_]{3}")


def check_licences(
    files: Mapping[str, str],
    findings: Findings,
    known: Mapping[str, Document] = MappingProxyType({}),
) -> None:
    """Report what *files* of a rules folder hold against the terms of terminologies.

    *known* are those of them that were parsed before.
    """
    used: dict[str, tuple[Document, Path]] = {}
    for name in sorted(files):
        quiet = Findings()
        if terminology_kind(name) == "fhir-valueset":
            document = parse_json(files[name], name, quiet, "CDS217")
            if document is not None:
                _check_fhir(document, findings)
        elif name == UNITS or name.startswith(_CODED) and name.endswith(".yaml"):
            document = known.get(name) or parse_yaml(files[name], name, quiet)
            if document is not None and isinstance(document.data, dict):
                for path, system in _check_codes(document, findings):
                    used.setdefault(system, (document, path))
        elif name.endswith(".test.yaml"):
            document = parse_yaml(files[name], name, quiet)
            if document is not None:
                _check_test(document, findings)
    _check_notices(files.get(NOTICE, ""), used, findings)


def _check_codes(document: Document, findings: Findings) -> Iterator[tuple[Path, str]]:
    """Check a file that lists codes; gives its systems and where they stand."""
    if document.file == UNITS:
        return _check_units(document, findings)
    if document.file.startswith(FOLDER):
        return _check_words(document, findings)
    return _check_set(document, findings)


def _check_units(document: Document, findings: Findings) -> Iterator[tuple[Path, str]]:
    """Check what codes measure; gives their systems and where they stand."""
    for path, entry in _entries(document, "units"):
        system = canonical_system(entry["system"])
        yield (*path, "system"), system
        _check_system(document, (*path, "system"), system, findings)


def _check_set(document: Document, findings: Findings) -> Iterator[tuple[Path, str]]:
    """Check one value-set file; gives its systems and where they stand."""
    for kind in ("include", "exclude"):
        for path, entry in _entries(document, kind):
            system = canonical_system(entry["system"])
            yield (*path, "system"), system
            _check_system(document, (*path, "system"), system, findings)
            if system == SYSTEMS["snomed"]:
                _check_snomed(document, path, entry, findings)
            if system == SYSTEMS["atc"]:
                _check_atc(document, path, entry, findings)
    url = document.value(("provenance", "url"))
    if isinstance(url, str) and _VSAC.match(url):
        _tell_vsac(document, ("provenance", "url"), findings)


def _check_words(document: Document, findings: Findings) -> Iterator[tuple[Path, str]]:
    """Check the codes of forms and routes in a file of words; gives their systems."""
    forms = document.data.get("forms")
    for name, form in forms.items() if isinstance(forms, dict) else ():
        listed = form.get("codes") if isinstance(form, dict) else None
        for index, entry in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(entry, dict) and isinstance(entry.get("system"), str):
                path = ("forms", name, "codes", index)
                system = canonical_system(entry["system"])
                yield (*path, "system"), system
                if system == SYSTEMS["snomed"]:
                    _check_snomed(document, path, entry, findings)


def _entries(document: Document, kind: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if not isinstance(document.data.get(kind, []), list):
        return
    for path, entry in entries(document, kind):
        if isinstance(entry, dict) and isinstance(entry.get("system"), str):
            yield path, entry


def _check_system(
    document: Document, path: Path, system: str, findings: Findings
) -> None:
    if system.lower() in CPT:
        message = "CPT codes belong to the American Medical Association"
        help = "keep them out of the folder, or hold a licence of the AMA"
        findings.warning(document, path, "CDS904", message, help)
    elif _LICENSED.match(system):
        message = f"codes of {quote(system)} are available only under a licence"
        help = (
            "use RxNorm, ICD-10-CM or LOINC, or keep the file out of what you publish"
        )
        findings.warning(document, path, "CDS905", message, help)


def _check_snomed(
    document: Document, path: Path, entry: Mapping[str, Any], findings: Findings
) -> None:
    if "under" in entry:
        message = "the hierarchy of SNOMED CT needs the site's own licensed server"
        help = "list the identifiers under `codes`, as that server expands them"
        where = (*path, "under")
        findings.warning(document, where, "CDS902", message, help, key=True)
    for where in _commented(document, path, entry, ("codes", "under")):
        message = "a term is given beside a SNOMED CT identifier"
        help = "remove the comment: identifiers are used here without terms"
        findings.warning(document, where, "CDS901", message, help)


def _check_atc(
    document: Document, path: Path, entry: Mapping[str, Any], findings: Findings
) -> None:
    for where in _commented(document, path, entry, ("codes", "under")):
        message = "a name is given beside an ATC code"
        help = "remove the comment: ATC may be referred to, but not copied"
        findings.warning(document, where, "CDS903", message, help)
    codes = entry.get("codes")
    if isinstance(codes, list) and len(codes) > _FEW:
        message = f"{len(codes)} ATC codes in a list are a part of the ATC table"
        help = "name the class by its prefix under `under`"
        where = (*path, "codes")
        findings.warning(document, where, "CDS903", message, help, key=True)


_FEW = 20


def _commented(
    document: Document, path: Path, entry: Mapping[str, Any], keys: Iterable[str]
) -> Iterator[Path]:
    """Codes on whose line a comment with a word stands."""
    lines = document.text.split("\n")
    seen = set[int]()
    for key in keys:
        listed = entry.get(key)
        for index, _ in enumerate(listed if isinstance(listed, list) else ()):
            where = (*path, key, index)
            line = document.position(where).line
            if line not in seen and _COMMENT.search(lines[line - 1]):
                seen.add(line)
                yield where


def _check_fhir(document: Document, findings: Findings) -> None:
    """Check a FHIR ValueSet: its origin, its systems, and terms beside its codes."""
    url = document.value(("url",))
    if isinstance(url, str) and _VSAC.match(url):
        _tell_vsac(document, ("url",), findings)
    told = set[str]()
    for path, node, inherited in _codings(document):
        system = canonical_system(node.get("system") or inherited)
        if system not in told:
            where = (*path, "system") if "system" in node else path
            before = len(findings)
            _check_system(document, where, system, findings)
            if len(findings) > before:
                told.add(system)
        code = {SYSTEMS["snomed"]: "CDS901", SYSTEMS["atc"]: "CDS903"}.get(system)
        if code and code not in told and isinstance(node.get("display"), str):
            told.add(code)
            name = "SNOMED CT" if code == "CDS901" else "ATC"
            message = f"names of {name} stand beside its codes"
            help = "import it with `cds-service valueset import fhir`, which drops them"
            findings.warning(document, (*path, "display"), code, message, help)


def _codings(document: Document) -> Iterator[tuple[Path, Mapping[str, Any], str]]:
    """Every object with a code, and the system that it inherits."""
    waiting: list[tuple[Path, Any, str]] = [((), document.data, "")]
    while waiting:
        path, node, system = waiting.pop()
        if isinstance(node, dict):
            own = node.get("system")
            system = own if isinstance(own, str) else system
            if isinstance(node.get("code"), str) and system:
                yield path, node, system
            waiting += ((((*path, key)), each, system) for key, each in node.items())
        elif isinstance(node, list):
            waiting += (
                ((*path, index), each, system) for index, each in enumerate(node)
            )


def _check_test(document: Document, findings: Findings) -> None:
    """Check a test's patients for codes that may not be copied."""
    waiting: list[tuple[Path, Any]] = [((), document.data)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, dict):
            waiting += (((*path, key), each) for key, each in node.items())
        elif isinstance(node, list):
            waiting += (((*path, index), each) for index, each in enumerate(node))
        elif isinstance(node, str) and path and path[-1] in ("code", "panel"):
            system, bar, _ = node.partition("|")
            if bar:
                _check_system(document, path, canonical_system(system), findings)


def _tell_vsac(document: Document, path: Path, findings: Findings) -> None:
    message = "this value set comes from VSAC, whose users need a UMLS licence"
    help = "keep the file out of what you publish; each site downloads it itself"
    findings.warning(document, path, "CDS905", message, help)


def _check_notices(
    notice: str,
    used: Mapping[str, tuple[Document, Path]],
    findings: Findings,
) -> None:
    for system, (name, words) in _OWED.items():
        if system in used and not _says(notice, words):
            document, path = used[system]
            message = f"{name} is used here, but {NOTICE} does not have its notice"
            help = f"write the notice that the terms of {name} ask for into that file"
            findings.warning(document, path, "CDS906", message, help)


def _says(notice: str, words: Collection[str]) -> bool:
    plain = " ".join(notice.split())
    return all(each in plain for each in words)
