"""What stands around the rule of a test: the rest of a small folder of rules."""

from textwrap import dedent


def review(*rules: str) -> str:
    """A services.yaml with one service, which has these rules or folders of rules."""
    return dedent(f"""\
        format: 1
        services:
          - id: review
            hooks: [patient-view]
            title: Review
            description: Reviews the chart.
            rules: [{', '.join(rules)}]
        """)


AROUND = {
    name: dedent(text)
    for name, text in {
        "site.yaml": """\
            format: 1
            time_zone: America/New_York
            unapproved: serve
            """,
        "alert-types.yaml": """\
            format: 1
            alert_types:
              low-heart-rate: {title: Low heart rate, metric: heart-rate, unit: /min}
            """,
        "facts/diabetes.yaml": """\
            format: 1
            fact: diabetes
            title: The patient has diabetes
            condition: {in: diabetes}
            """,
        "valuesets/diabetes.yaml": """\
            format: 1
            valueset: diabetes
            version: 1.0.0
            title: Diabetes
            include: [{system: icd10cm, under: [E11]}]
            """,
        "valuesets/beta-blockers.yaml": """\
            format: 1
            valueset: beta-blockers
            version: 1.0.0
            title: Beta-blockers
            include:
              - system: rxnorm
                ingredients: [{code: "6918", name: metoprolol}]
            """,
        "valuesets/heart-rate.yaml": """\
            format: 1
            valueset: heart-rate
            version: 1.0.0
            title: Heart rate
            include: [{system: loinc, codes: [8867-4]}]
            """,
    }.items()
}
"""All but services.yaml, the rules and their tests."""

FAST = """\
format: 1
detector: fast
version: 1.0.0
title: Fast heart
status: active
metric: heart-rate
raises: high-heart-rate
params:
  limit: {default: 100, unit: /min, min: 90, max: 140, describe: Fast, own: true}
detect:
  sustained:
    above: $limit
    clear_by: 5
    for: 10 minutes
    speaks_for: 3 minutes
    coverage: 0.7
    share: 0.9
    readings: 4
    recovery: 10 minutes
    silence: 1 hour
lateness: 48 hours
recurrence_within: 24 hours
"""
"""A detector of ten minutes of a fast heart."""
FAST_AT_REST = (
    FAST.replace("detector: fast", "detector: fast-heart-at-rest")
    .replace("title: Fast heart", "title: Fast heart at rest")
    .replace(
        "lateness",
        """\
    at_rest:
      {metric: steps, per_minute: 10, lookback: 5 minutes, covered: 0.8,
       longest: 15 minutes}
lateness""",
    )
)
