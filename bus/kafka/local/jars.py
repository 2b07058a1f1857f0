"""Kafka's jars: pinned by version and SHA-256, fetched once by Maven into a cache, or taken from a folder that is given.

A folder in the cache is complete or not there: it is filled under another name and renamed. A given folder is looked at jar
by jar, for a copy may have been cut short. When the jars are there, nobody asks the network.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from bus.kafka.local.errors import Unfit
from bus.kafka.local.java import Java

VERSION: Final = "4.3.1"
JARS_VARIABLE: Final = "LENDBUS_KAFKA_JARS"
LOGGING: Final = "slf4j-simple-1.7.36.jar"  # without it the broker works and its log stays empty
FETCH_S_MAX: Final = 600.0
NAMED_MAX: Final = 5  # missing jars in one sentence
_HERE: Final = Path(__file__).parent


@cache
def pinned() -> Mapping[str, str]:
    """Jar → its SHA-256."""
    lines = (_HERE / "jars.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def cache_folder() -> Path:
    """Where Maven's jars are kept: `lendbus/kafka-VERSION` of the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "lendbus" / f"kafka-{VERSION}"


def found(given: Path | None = None) -> list[Path] | None:
    """The jars of the given folder, of LENDBUS_KAFKA_JARS, or of the cache; None when they have to be fetched.

    Raises Unfit for a given folder that is not complete.
    """
    folder = given or (Path(said) if (said := os.environ.get(JARS_VARIABLE)) else None)
    if folder is not None:
        return checked(folder.expanduser().absolute())
    return checked(cache_folder()) if cache_folder().is_dir() else None


def checked(folder: Path) -> list[Path]:
    """The pinned jars in a folder, each of them whole. Raises Unfit that names what is missing or damaged."""
    if not folder.is_dir():
        raise Unfit(f"there is no folder {folder}: give one with Kafka {VERSION}'s jars, or none to let Maven fetch them")
    missing = [name for name in pinned() if name != LOGGING and not (folder / name).is_file()]
    damaged = [name for name in pinned() if name not in missing and (folder / name).is_file() and not _is_whole(folder / name)]
    for what, names in (("lacks", missing), ("has damaged", damaged)):
        if names:
            more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
            raise Unfit(f"{folder} {what} {', '.join(names[:NAMED_MAX])}{more} of Kafka {VERSION}: remove the folder, or fill it again")
    return [folder / name for name in pinned() if (folder / name).is_file()]


def fetch(java: Java) -> list[Path]:
    """The jars in the cache, fetched by Maven if they are not there. Raises Unfit without Maven, or with what Maven says."""
    folder = cache_folder()
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():  # another process has just done it
            return checked(folder)
        temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            _run_maven(java, temporary)
            _compare(temporary)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return checked(folder)


def _run_maven(java: Java, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unfit(
            f"Kafka {VERSION}'s jars are not in {cache_folder()}, and there is no Maven (`mvn`) to fetch them: install Maven, "
            f"or give a folder with the jars by --jars or {JARS_VARIABLE}"
        )
    command = [maven, "-B", "-q", "-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    environment = {**os.environ, "JAVA_HOME": str(java.home)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", timeout=FETCH_S_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unfit(f"Maven did not fetch Kafka {VERSION} within {FETCH_S_MAX:.0f} s: is its repository reachable from here?") from None
    if done.returncode:
        said = next((line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line), f"exit code {done.returncode}")
        raise Unfit(f"Maven could not fetch Kafka {VERSION}: {said.strip()}")


def _compare(folder: Path) -> None:
    for name, digest in pinned().items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise Unfit(f"Maven's {name} is {'not the one that is pinned' if path.is_file() else 'missing'}: ask who runs its repository")


def _is_whole(path: Path) -> bool:
    """Whether the jar has its directory, which stands at its end."""
    try:
        with zipfile.ZipFile(path) as jar:
            return bool(jar.infolist())
    except (OSError, zipfile.BadZipFile):
        return False


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time; the others wait."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
