"""A rules folder that knows two types of alerts."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

ALERT_TYPES = """\
    format: 1
    alert_types:
      low-heart-rate:
        title: Low heart rate
        metric: heart_rate
        unit: /min
        codes: [{system: loinc, codes: [8867-4]}]
      irregular-rhythm: {title: Irregular rhythm, metric: heart_rhythm}
    """


@pytest.fixture
def alert_rules(tmp_path: Path, revise: Callable[[Path, int], dict[str, str]]) -> Path:
    folder = tmp_path / "rules"
    revise(folder, 1)
    (folder / "alert-types.yaml").write_text(dedent(ALERT_TYPES))
    return folder
