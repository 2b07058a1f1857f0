"""The form of a report, as it comes out of `--json`."""

import json
import math
from typing import Any

from tools.bench.load import VALUE_BYTES
from tools.bench.report import Report, conditions


def well_formed(report: Report, name: str) -> dict[str, Any]:
    """The report as it comes out of `--json`, its shape checked."""
    told: dict[str, Any] = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert (set(told), told["bench"]) == ({"bench", "conditions", "figures", "bars"}, name)
    assert set(conditions()) <= set(told["conditions"])
    assert told["conditions"].get("value_bytes", VALUE_BYTES) == VALUE_BYTES
    for bar in told["bars"].values():
        assert set(bar) == {"value", "bar", "ok"} and isinstance(bar["ok"], bool)
    values = [*told["figures"].values(), *(bar["value"] for bar in told["bars"].values())]
    assert all(math.isfinite(value) and value >= 0 for value in values)
    return told
