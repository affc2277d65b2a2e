"""The expansion of RxNorm ingredients: which product codes hold them, as one text file.

The file says what products hold and in which dose forms; which of them a value set
means follows from the set, so a set may change without a new import as long as its
ingredients are among those expanded. Products that hold none of the ingredients are not
in it: a set may have members that only another system's codes name, and a product of
such a member must stay unresolved.

Tab-separated lines in sections, sorted, so that two releases can be compared.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..language.diagnostics import Findings
from .folding import words_of
from .lexicon import DoseForm
from .rxnorm import Release

EXPANSION = "valuesets/expansions/rxnorm.tsv"
"""Where the file stands in the rules folder."""

ACKNOWLEDGEMENT = (
    "This product uses publicly available data from the U.S. National Library of "
    "Medicine (NLM), National Institutes of Health, Department of Health and Human "
    "Services; NLM is not responsible for the product and does not endorse or "
    "recommend this or any other product."
)
"""The sentence that NLM asks for. Source: RxNorm terms of service."""


@dataclass(frozen=True, slots=True)
class KnownProducts:
    """RxNorm codes of which it is known what they hold."""

    codes: frozenset[str] = frozenset()
    mixed: frozenset[str] = frozenset()
    """Those that hold something else as well, which nothing here names."""
    formless: frozenset[str] = frozenset()
    """Those without a dose form: substances."""
    release: str = ""
    """The date of the release; empty if it did not say."""
    products: frozenset[str] = frozenset()
    """Those that are neither ingredients nor forms of one, such as salts."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The product codes of ingredients, by ingredient."""

    products: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Ingredient's code to the codes that hold it, each with its dose forms."""
    known: KnownProducts = KnownProducts()
    absent: frozenset[str] = frozenset()
    """Ingredients that the release does not have."""

    @property
    def covered(self) -> frozenset[str]:
        """The ingredients whose products the expansion tells."""
        return self.absent.union(self.products)

    def is_product(self, code: str) -> bool:
        """Check if a code is that of a product or a brand of another ingredient."""
        return code in self.known.products and any(
            code in held for other, held in self.products.items() if other != code
        )


def write_expansion(
    release: Release, version: str, ingredients: Iterable[str]
) -> Iterator[str]:
    """The lines of the file, each with its line break."""
    wanted = sorted(set(ingredients), key=_order)
    found = {code: release.products(code) for code in wanted if code in release.types}
    rows: dict[str, list[str]] = {}
    for ingredient, products in found.items():
        for code, forms in products.items():
            rows.setdefault(code, []).append(f"{ingredient}={'|'.join(forms)}")
    for code in release.holding_others(found) & rows.keys():
        rows[code].append(_MORE)
    yield "# The products that hold the ingredients of value sets, by RxNorm.\n"
    yield "# Written by `cds-service valueset import rxnorm`; not to be edited.\n"
    yield f"# {ACKNOWLEDGEMENT}\n"
    yield f"format\t1\nrelease\t{version}\nproducts\t{len(rows)}\n"
    yield "\n[ingredients]\n"
    yield from (f"{code}\n" for code in found)
    yield "\n[absent]\n"
    yield from (f"{code}\n" for code in wanted if code not in found)
    yield "\n[products]\n"
    for code in sorted(rows, key=_order):
        name = " ".join(release.names[code].split())
        yield f"{code}\t{release.types[code]}\t{';'.join(rows[code])}\t{name}\n"


def _order(code: str) -> tuple[int, str]:
    return len(code), code


def read_expansion(text: str, findings: Findings) -> Expansion:
    """The expansion in the text of its file; an empty one, with findings, if broken."""
    return _Reader(text, findings).read()


def names_in(text: str) -> Mapping[str, str]:
    """The name of each product in the text of an expansion."""
    rows = (line.split("\t") for line in _sections(text).get("products", ()))
    return {row[0]: row[3] for row in rows if len(row) == _PRODUCT}


def _sections(text: str) -> dict[str, list[str]]:
    """The lines of each section; those before the first have the empty name."""
    head, *parts = text.replace("\r\n", "\n").split("\n[")
    sections = {"": head.split("\n")}
    for part in parts:
        name, _, body = part.partition("]\n")
        sections[name] = [line for line in body.split("\n") if line]
    return sections


_PRODUCT = 4
"""Columns of a product: code, term type, what it holds, name."""
_MORE = "+"
"""Among what a product holds: something that was not asked for."""
Held = tuple[tuple[tuple[str, tuple[str, ...]], ...], bool, bool]
"""Ingredients with dose forms; whether there is more; whether there is no form."""


class _Reader:
    def __init__(self, text: str, findings: Findings) -> None:
        self.text = text
        self.findings = findings
        self.products: dict[str, dict[str, tuple[str, ...]]] = {}
        self.held: dict[str, Held | None] = {}
        """What a product holds, by how it is written: many lines say the same."""

    def read(self) -> Expansion:
        sections = _sections(self.text)
        head = dict(
            (line.split("\t") + [""])[:2]
            for line in sections.pop("")
            if not line.startswith("#")
        )
        if head.get("format") != "1" or sections.keys() != _SECTIONS:
            return self._complain("", "this is not an expansion of format 1")
        if head.get("products") != str(len(sections["products"])):
            return self._complain("", "the file is incomplete, or was changed")
        self.products = {code: {} for code in sections["ingredients"]}
        codes, mixed, formless = set[str](), set[str](), set[str]()
        products = set[str]()
        for line in sections["products"]:
            code, held = self._product(line)
            if held is None:
                return self._complain(line, "this line does not belong in an expansion")
            codes.add(code)
            if line.split("\t")[1] not in _SUBSTANCES:
                products.add(code)
            if held[1]:
                mixed.add(code)
            if held[2]:
                formless.add(code)
            for ingredient, forms in held[0]:
                self.products[ingredient][code] = forms
        release = head.get("release", "")
        return Expansion(
            self.products,
            KnownProducts(
                frozenset(codes),
                frozenset(mixed),
                frozenset(formless),
                release,
                frozenset(products),
            ),
            frozenset(sections["absent"]),
        )

    def _product(self, line: str) -> tuple[str, Held | None]:
        row = line.split("\t")
        if len(row) != _PRODUCT or not row[0].isdigit():
            return "", None
        written = row[2]
        if written not in self.held:
            self.held[written] = self._read_held(written)
        return row[0], self.held[written]

    def _read_held(self, written: str) -> Held | None:
        """Return what ``10600=Oral Tablet;29046=;+`` says; None if not so written."""
        parts = [each.partition("=") for each in written.split(";")]
        named = [part for part in parts if part != (_MORE, "", "")]
        if not all(code in self.products and equals for code, equals, _ in named):
            return None
        found = tuple(
            (code, tuple(filter(None, forms.split("|")))) for code, _, forms in named
        )
        return found, len(named) < len(parts), not any(forms for _, forms in found)

    def _complain(self, line: str, message: str) -> Expansion:
        offset = self.text.find(line)
        number = self.text.count("\n", 0, offset) + 1 if line else 1
        help = "write it again with `cds-service valueset import rxnorm`"
        self.findings.error_at(EXPANSION, number, 1, "CDS213", message, help)
        return Expansion()


_SUBSTANCES = frozenset({"IN", "PIN", "MIN"})
"""RxNorm's term types of ingredients, precise and multiple ones included."""
_SECTIONS = {"ingredients", "absent", "products"}


def meant(
    expansion: Expansion, ingredients: Iterable[str], without: Collection[DoseForm]
) -> tuple[set[str], set[str]]:
    """The codes that hold one of the ingredients, and those ruled out by dose form.

    A product is ruled out if all of its forms are among those *without* which it is.
    """
    held, ruled_out = set[str](), set[str]()
    verdicts: dict[tuple[str, ...], bool] = {}
    for ingredient in ingredients:
        for code, forms in expansion.products.get(ingredient, {}).items():
            out = verdicts.get(forms)
            if out is None:
                out = verdicts[forms] = bool(forms) and all(
                    any(each.is_said(words_of(form)) for each in without)
                    for form in forms
                )
            (ruled_out if out else held).add(code)
    return held, ruled_out - held
