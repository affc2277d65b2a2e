"""Types of wearable alerts: what they are called, and by which codes."""

from cds_service.rulebook.compile.site_builder import alert_types_of
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml

TYPES = """
format: 1
alert_types:
  low-heart-rate:
    title: Low heart rate
    metric: heart_rate
    unit: /min
    codes:
      - {system: loinc, codes: [8867-4]}
      - {system: "urn:oid:2.16.840.1.113883.6.96", codes: ["364075005"]}
  irregular-rhythm: {title: Irregular rhythm}
"""


def test_a_type_has_the_codes_by_which_a_consent_may_name_it() -> None:
    types = alert_types_of(parse_yaml(TYPES, "alert-types.yaml", Findings()))

    assert types["low-heart-rate"].codes == {
        ("http://loinc.org", "8867-4"),
        ("http://snomed.info/sct", "364075005"),
    }
    assert types["irregular-rhythm"].codes == frozenset()


def test_without_a_file_there_are_no_types() -> None:
    assert alert_types_of(None) == {}
