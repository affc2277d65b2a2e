"""The shipped sets of medicines: what an order says, and the sets it belongs to."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.fhir.code_systems import SYSTEMS
from cds_service.rulebook.describe.chart_coverage import Recognition, Survey, Surveyor
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.terminology.parts import names_of

from ..shipped import FILES

Ask = Callable[[str], tuple[Recognition, tuple[str, ...]]]


@pytest.fixture(scope="session")
def ask(rulebook: Rulebook) -> Ask:
    """What the sets make of an order such as ``atc|B01AB05 enoxaparin``: how it is
    recognised, and the sets that have it."""
    surveyor = Surveyor(rulebook.valuesets, rulebook.lexicon)

    def ask(written: str) -> tuple[Recognition, tuple[str, ...]]:
        concept: dict[str, Any] = {"text": written}
        if "|" in written:
            coding, _, name = written.partition(" ")
            system, _, code = coding.partition("|")
            concept = {"coding": [{"system": SYSTEMS[system], "code": code}]}
            concept |= {"text": name} if name else {}
        order = {
            "resourceType": "MedicationRequest",
            "id": "m",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept,
        }
        orders = Source("medication_requests", SourceState.LOADED, (order,))
        survey = Survey()
        surveyor.take(Chart("p", {}, {orders.name: orders}), survey)
        ((verdict, entry),) = (
            (verdict, entry)
            for verdict, entries in survey.medicines.items()
            for entry in entries
        )
        return verdict, entry.sets

    return ask


BELONGS = {
    "anticoagulants": (
        "atc|B01AB05 enoxaparin",
        "rxnorm|67108 enoxaparin",
        "Lovenox 40 mg/0.4 mL",
        "Clexane 4000 IU",
        "rxnorm|67109",
        "rxnorm|321208",
        "atc|B01AX05 fondaparinux",
        "rxnorm|5224",
        "atc|B01AE03 argatroban",
        "rxnorm|154",
        "Acenocoumarol 4 mg",
        "Marcoumar 3 mg",
        "atc|B01AF03 edoxaban",
        "Pradaxa 150 mg",
    ),
    "beta-blockers": (
        "Lopressor HCT 50/25",
        "Toprol-XL 50 mg",
        "Concor 5 mg",
        "atc|C09BX02 perindopril and bisoprolol",
        "atc|C09DX05 valsartan and nebivolol",
        "atc|C07FX05 metoprolol and ivabradine",
        "atenolol 50 MG / chlorthalidone 25 MG Oral Tablet",
        "Tenoretic 50",
        "rxnorm|49737 esmolol",
        "Timolol 10 mg tablet",
        "timolol maleate 5 MG Oral Tablet",
        "Betaxolol 10 mg",
        "Carteolol 2.5 mg",
        "Beloc-Zok mite 47,5 mg",
        "Metoprololsuccinat 95 mg Retardtabletten",
        "Bisoprololfumarat 5 mg",
        "Cardensiel 1,25 mg, comprimé",
        "Seloken ZOC",
        "co-tenidone 50/12.5",
        "Rapibloc 300 mg",
    ),
    "nondihydropyridine-calcium-channel-blockers": (
        "Cartia XT 180 mg",
        "atc|C09BB10 trandolapril and verapamil",
        "Tarka 2/240",
    ),
    "digoxin": ("rxnorm|3407", "Lanoxin 125 mcg", "atc|C01AA04 digitoxin", "Digitoxin"),
    "ivabradine": ("rxnorm|1649480", "Procoralan 5 mg", "atc|C07FX06 carvedilol"),
    "antiarrhythmics": (
        "rxnorm|703",
        "amiodarone hydrochloride 200 MG Oral Tablet",
        "Pacerone 200 mg",
        "rxnorm|233698",
        "rxnorm|49247",
        "rxnorm|9068",
    ),
    "heart-rate-lowering-agents": (
        "atc|C02AC01 clonidine",
        "atc|N02CX02 clonidine",
        "rxnorm|40114 guanfacine",
        "rxnorm|1649480",
        "rxnorm|703",
    ),
    "antihypertensives": (
        "rxnorm|3827",
        "rxnorm|35296",
        "Zestoretic 20/12.5",
        "Entresto 24/26",
        "rxnorm|214354",
        "rxnorm|7417",
        "rxnorm|2562811",
        "Amiloride 5 mg",
        "atc|C10BX03 atorvastatin and amlodipine",
        "atc|G04CA03 terazosin",
        "atc|C02KN01 aprocitentan",
        "Atenolol 50 mg",
        "Torasemide 10 mg",
    ),
    "alpha-blockers": (
        "atc|G04CA02 tamsulosin",
        "rxnorm|17300",
        "Flomax 0.4 mg",
        "Silodosin 8 mg",
    ),
    "loop-diuretics": (
        "Torasemide 10 mg",
        "Frusemide 40 mg",
        "rxnorm|4109",
        "atc|C03EB01 furosemide and potassium-sparing agents",
        "Lasix 40mg",
    ),
    "opioids": (
        "atc|R05DA04 codeine",
        "atc|N01AH01 fentanyl",
        "rxnorm|6754",
        "Pethidine 50 mg",
        "Meperidine Hydrochloride 50 MG Oral Tablet",
        "Norco 10-325",
        "Tylenol #3",
        "atc|N07BC51 buprenorphine, combinations",
        "Suboxone 8 mg/2 mg film",
        "rxnorm|7238",
    ),
    "benzodiazepines": (
        "atc|N03AE01 clonazepam",
        "rxnorm|10355",
        "rxnorm|6960",
        "Ambien 10 mg",
        "zopiclone 7.5 mg",
        "Estazolam 2 mg",
    ),
    "gabapentinoids": ("Lyrica 75 mg", "atc|N03AX12", "Neurontin", "atc|N02BG11"),
    "naloxone": (
        "rxnorm|7242 naloxone",
        "atc|V03AB15 naloxone",
        "naloxone hydrochloride 4 MG/ACTUAT Nasal Spray",
        "Narcan",
        "2 ML naloxone hydrochloride 1 MG/ML Prefilled Syringe",
    ),
    "nsaids": (
        "rxnorm|5781",
        "Indometacin 25 mg",
        "Toradol 10 mg",
        "atc|N02BA11 diflunisal",
        "atc|N02AJ08 codeine and ibuprofen",
        "atc|N02CC51",
        "atc|L01XX33",
        "Arcoxia 60 mg",
        "Vicoprofen 7.5/200",
    ),
    "insulins": (
        "insulin isophane, human 70 UNT/ML / insulin, regular, human 30 UNT/ML",
        "Insulin (Humulin N)",
        "insulin lispro protamine, human 75 UNT/ML",
        "Lantus Solostar",
        "NovoRapid FlexPen",
        "insulin aspart, human 100 UNT/ML",
    ),
    "sulfonylureas": (
        "Glibenclamide 5 mg",
        "atc|A10BD02 metformin and sulfonylureas",
        "atc|A10BD32",
        "rxnorm|4816",
        "Amaryl 2 mg",
    ),
    "medicines-that-lower-glucose-below-normal": (
        "rxnorm|73044",
        "atc|A10BD14 metformin and repaglinide",
        "atc|A10AB05 insulin aspart",
    ),
    "cholinesterase-inhibitors": ("Aricept 10 mg", "Exelon patch", "atc|N06DA52"),
    "medicines-that-raise-heart-rate": (
        "Salbutamol inhaler",
        "Ventolin HFA",
        "atc|R03AK06 salmeterol and fluticasone",
        "Advair Diskus 250/50",
        "atc|N05AH02 clozapine",
        "atc|N06AX09",
        "Dexamfetamine 5 mg",
        "dextroamphetamine saccharate 5 MG",
        "Adrenaline 1 mg/mL",
        "EpiPen 0.3 mg",
        "Claritin-D 24 hour",
        "rxnorm|10438",
        "Armour Thyroid 60 mg",
    ),
}
"""What belongs to a set: by RxNorm, by ATC, by international, American, brand name."""


@pytest.mark.parametrize(
    ("name", "order"), [(name, each) for name, all_ in BELONGS.items() for each in all_]
)
def test_an_order_is_found_by_every_code_and_name(
    ask: Ask, name: str, order: str
) -> None:
    _, found = ask(order)

    assert name in found


BELONGS_NOT = {
    "anticoagulants": (
        "Heparin lock flush 10 units/mL",
        "atc|B01AB02 antithrombin III",
        "rxnorm|1191 aspirin",
        "Plavix 75 mg",
        "Tranexamic acid 500 mg",
    ),
    "beta-blockers": (
        "Timolol 0.5 % eye drops",
        "Timoptic 0.5 %",
        "Cosopt",
        "dorzolamide 20 MG/ML / timolol 5 MG/ML Ophthalmic Solution",
        "brimonidine / timolol",
        "levobunolol",
        "TIMOLOL MAL SOL 0.5% OP",
        "Timolol Maleate 0.5 % SOLN",
        "timolol maleate 5 MG/ML",
        "timolol 0.25% OS daily",
        "timolol gtts 1 OU BID",
        "Timolol Augentropfen",
        "TIMOLOL 0,50 POUR CENT, collyre en solution",
        "Timolol topical solution for haemangioma",
        "Timolol OU",
        "Timolol maleate OU BID",
        "timolol LA 0.5 %",
        "timolol (PF) 0.5 % dropperette",
        "Timolol krople do oczu",
        "Timolol silmätipat",
        "Brinzolamid/Timolol",
        "Dorzolamida + timolol",
        "betaxolol 0.5 %",
        "betaxolol hcl 0.25 %",
        "betaxolol 2.5 mg/ml",
        "carteolol 1 %",
        "Carteolol OU BID",
        "Timoptol LP 0,50 %",
        "Nyolol 0,1 %",
        "Arutimol 0,5 %",
        "Tim-Ophtal 0,5 %",
        "Timabak",
        "Fixapost",
        "Vistagan",
    ),
    "antihypertensives": (
        "atc|C02KX01 bosentan",
        "bosentan 125 mg",
        "atc|C03XA01 tolvaptan",
        "atc|C10BX08 atorvastatin and acetylsalicylic acid",
        "atc|G04CA02 tamsulosin",
        "Minoxidil 5 % topical solution",
    ),
    "opioids": (
        "atc|N07BC04 lofexidine",
        "Lucemyra 0.18 mg",
        "atc|R05DA09 dextromethorphan",
        "dextromethorphan 15 mg",
        "rxnorm|7243 naltrexone",
        "Loperamide 2 mg",
    ),
    "naloxone": (
        "buprenorphine 8 MG / naloxone 2 MG Sublingual Film",
        "oxycodone 10 MG / naloxone 5 MG Extended Release Oral Tablet",
        "atc|N07BC51 buprenorphine, combinations",
        "Suboxone 8 mg/2 mg film",
        "naltrexone 50 mg",
    ),
    "nsaids": (
        "atc|M01AX05 glucosamine",
        "atc|M01AX25 chondroitin sulfate",
        "atc|M01AX21 diacerein",
        "Aspirin 81 MG Oral Tablet",
        "Diclofenac 1 % topical gel",
        "Flector patch",
        "Voltaren Emulgel",
        "Diclofenac Schmerzgel",
        "Ketoprofen gel",
    ),
    "insulins": ("Insulin pen needles 31G", "insulin syringe 0.5 mL", "Glucagon 1 mg"),
    "antiarrhythmics": ("dextromethorphan 20 MG / quinidine 10 MG Oral Capsule",),
    "digoxin": ("Digoxin immune Fab 40 mg", "DigiFab"),
    "medicines-that-raise-heart-rate": (
        "Sudafed PE",
        "Claritin 10 mg",
        "lidocaine 1 % / epinephrine 1:100,000",
    ),
}


@pytest.mark.parametrize(
    ("name", "order"),
    [(name, each) for name, all_ in BELONGS_NOT.items() for each in all_],
)
def test_what_only_looks_alike_is_in_no_set_and_leaves_no_doubt(
    ask: Ask, name: str, order: str
) -> None:
    verdict, found = ask(order)

    assert name not in found
    assert verdict is not Recognition.UNRECOGNISED or order.startswith("atc|")


EVERYDAY = (
    "Alendronate 70 mg, Fosamax, Ferrous sulfate 325 mg, iron sucrose, Vitamin D3, "
    "vitamin B-12, Folic acid 1 mg, Multivitamin, Prenatal vitamins, Magnesium oxide, "
    "Potassium chloride 20 mEq, Calcium carbonate, Diphenhydramine 25 mg, Benadryl, "
    "Paracetamol 500 mg, Tylenol, Aspirin 81 mg, Omeprazole 20 mg, Pantoprazole, "
    "Docusate, Senna 8.6 mg, Miralax, Lactulose, Melatonin 3 mg, Sertraline, Prozac, "
    "Trazodone, Quetiapine, Levetiracetam, Carbidopa 25 mg / Levodopa 100 mg, "
    "Memantine, Tiotropium inhaler, Flovent HFA, Budesonide, Fluticasone nasal spray, "
    "Montelukast, Cetirizine, Prednisone 10 mg, Amoxicillin 500 mg, Augmentin, "
    "Azithromycin, Cefalexin, Doxycycline, Bactrim DS, Nitrofurantoin, Metformin, "
    "Ozempic, Jardiance, Januvia, Atorvastatin, Crestor, Ezetimibe, Clopidogrel, "
    "Ticagrelor, Nitroglycerin 0.4 mg, Isosorbide mononitrate, Finasteride, "
    "Oxybutynin, Mirabegron, Sildenafil, Estradiol, Medroxyprogesterone, Allopurinol, "
    "Colchicine, Methotrexate, Hydroxychloroquine, Humira, Latanoprost, Ciclosporin, "
    "Artificial tears, Hydrocortisone cream, Nystatin, Influenza vaccine 2026, "
    "Tetanus toxoid, Lidocaine patch, Ondansetron, Test strips, Lancets, Famotidine"
).split(", ")


@pytest.mark.parametrize("order", EVERYDAY)
def test_everyday_medicines_are_recognised_and_in_no_set_that_a_rule_reads(
    ask: Ask, order: str
) -> None:
    verdict, found = ask(order)

    assert verdict in (Recognition.BY_NAME, Recognition.LEFT_OUT)
    assert set(found) <= {"recognised-ingredients"}


def written() -> Iterator[tuple[str, str, str]]:
    """File, code and name of every ingredient that a shipped set speaks of."""
    for file, text in FILES.items():
        if file.startswith("valuesets/") and file.endswith(".yaml"):
            document = parse_yaml(text, file, Findings())
            assert document is not None
            for kind in ("include", "exclude"):
                for entry in document.data.get(kind, ()):
                    for each in entry.get("ingredients", ()):
                        yield file, each.get("code", ""), names_of(each)[0]


def test_an_ingredient_has_one_code_and_one_name_in_all_sets() -> None:
    codes, names = defaultdict(set), defaultdict(set)
    for _, code, name in written():
        codes[name].add(code)
        if code:
            names[code].add(name)

    assert {name: found for name, found in codes.items() if len(found) > 1} == {}
    assert {code: found for code, found in names.items() if len(found) > 1} == {}


def test_a_name_that_a_set_needs_stands_once_in_the_recognised_ones_or_not() -> None:
    """A name beside its set would have to be kept in step in two places."""
    needed, recognised = set[str](), set[str]()
    for file, _, name in written():
        (recognised if "recognised" in file else needed).add(name)
    shared = needed & recognised

    assert shared <= EXCLUDED_ELSEWHERE


EXCLUDED_ELSEWHERE = {
    *("dorzolamide", "brimonidine", "brinzolamide", "latanoprost", "travoprost"),
    *("bimatoprost", "tafluprost", "pilocarpine", "lidocaine", "bupivacaine"),
    *("articaine", "prilocaine", "dextromethorphan"),
}
"""What rules a match out stands beside the set, and among the recognised."""
