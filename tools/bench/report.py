"""What a bench prints: conditions, figures with their units, and bars with what was measured."""

import os
import platform
import sqlite3
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final

from config.settings import Settings

LIBRARIES: Final = {"kafka": "aiokafka", "postgresql": "asyncpg"}


@dataclass
class Report:
    """One bench: `--json` prints it as one object."""

    bench: str
    conditions: dict[str, Any]
    figures: dict[str, float] = field(default_factory=dict)
    bars: dict[str, dict[str, Any]] = field(default_factory=dict)

    def figure(self, name: str, value: float) -> None:
        """Note a figure; its name carries its unit."""
        self.figures[name] = value

    def bar(self, name: str, value: float, bar: float, *, at_least: bool) -> None:
        """Note a figure and what it has to be."""
        self.bars[name] = {"value": value, "bar": bar, "ok": value >= bar if at_least else value <= bar}

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {"bench": self.bench, "conditions": self.conditions, "figures": self.figures, "bars": self.bars}


def conditions(settings: Settings | None = None) -> dict[str, Any]:
    """The machine, the versions, and the kinds of bus and stores that a figure depends on."""
    kinds = (settings.bus_kind, settings.db_kind) if settings else ("sqlite", "sqlite")
    return {
        "bus": kinds[0],
        "db": kinds[1],
        **{name: metadata.version(name) for kind, name in LIBRARIES.items() if kind in kinds},
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "faust-streaming": metadata.version("faust-streaming"),
        "synchronous": "FULL",
        "load_before": round(os.getloadavg()[0], 2),
    }
