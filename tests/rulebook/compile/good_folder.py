"""A folder of rules without a mistake, to put one in."""

from textwrap import dedent

from cds_service.rulebook.language.diagnostics import Finding, Level

from ...small_rules import AROUND, review

GOOD = dedent("""\
    format: 1
    rule: good
    version: 1.2.0
    title: Heart rate above the limit on a beta-blocker
    status: active
    severity: warning
    hooks: [patient-view]
    params:
      limit: {default: 100, unit: /min, min: 80, max: 150}
      period: {default: 3 days}
    facts:
      drug: {medication: {in: beta-blockers, taken_for: 14 days}}
      hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
      sbp: {observation: {in: systolic, unit: "mm[Hg]", within: 7 days}}
      slow: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
      sugar: {use: diabetes}
    when:
      all:
        - patient: {age: {at_least: 18 years}}
        - drug: present
        - sugar: absent
        - hr: {sustained: {above: $limit, for: $period, share: 0.8}}
        - any:
            - sbp: {latest: {below: 90}}
            - slow: {local_time: {between: ["07:00", "22:00"]}}
    if_unknown: note
    card:
      summary: Heart rate {{ hr.mean }} on {{ drug.name }}
      detail: |
        Blood pressure {{ sbp.latest or 'not recorded' }}
      source: {label: Example, url: https://example.org/guideline}
      override_reasons: [cds-not-applicable]
      links:
        - {label: Guideline, url: https://example.org/guideline, type: absolute}
      suggestions:
        - label: Draft an ECG
          actions:
            - description: Draft an ECG
              create: {resourceType: ServiceRequest, status: draft, intent: proposal}
    alerting: {once_per: [patient, rule], repeat_after: 7 days, priority: 50}
    governance:
      owner: cardiology@example.org
      effective: 2026-10-01
      review_by: 2027-10-01
      evidence: [{citation: A guideline, url: https://example.org, year: 2023}]
    """)
RULE, SITE, SERVICES = "cardiology/good.yaml", "site.yaml", "services.yaml"
ALERTS = "alert-types.yaml"
FOLDER = {
    **AROUND,
    "valuesets/systolic.yaml": dedent("""\
        format: 1
        valueset: systolic
        version: 1.0.0
        title: Systolic blood pressure
        include: [{system: loinc, codes: [8480-6]}]
        """),
    SERVICES: review("cardiology"),
    RULE: GOOD,
}


def laid(file: str, old: str, new: str) -> dict[str, str]:
    """The good folder with one mistake in it."""
    assert old in FOLDER[file]
    return {**FOLDER, file: FOLDER[file].replace(old, new, 1)}


def errors(findings: tuple[Finding, ...]) -> list[Finding]:
    return [each for each in findings if each.level is Level.ERROR]
