"""What a bench needs around the service: a folder, messages of the right length, a worker on its terms."""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from agents.runtime.envelope import Origin, encode
from agents.runtime.pruning import DAY_MS, Keep
from agents.runtime.worker import Surroundings
from bus.record import Outgoing
from stores.migrate import create
from tools.bench.service import METADATA, TOPICS, Count

VALUE_BYTES = 191
KEEP = Keep(9 * DAY_MS, 90 * DAY_MS, 9 * DAY_MS, 30 * DAY_MS, DAY_MS, 7 * DAY_MS, DAY_MS // 2, 3600.0)
_EMPTY = len(b'{"seq":,"filler":""}')


def bus_url(folder: Path) -> str:
    """The bus of this bench."""
    return f"sqlite:///{folder / 'bus.db'}"


def surroundings(folder: Path, service: str, batch_max: int = 500) -> Surroundings:
    """A store of its own for a stage, its tables made."""
    url = f"sqlite:///{folder / service}.db"
    create(url, METADATA)
    return Surroundings(bus_url(folder), url, TOPICS, KEEP, batch_max)


def messages(count: int, actors: int, *, start: int = 0) -> list[Outgoing]:
    """Messages of `VALUE_BYTES` for `actors` keys in turn, numbered per key."""
    now_ms = time.time_ns() // 1_000_000
    keys = [str(uuid.uuid4()) for _ in range(actors)]
    return [message(keys[n % actors], start + n // actors, now_ms) for n in range(count)]


def message(key: str, seq: int, now_ms: int) -> Outgoing:
    """One message, number `seq` of its key."""
    filler = "x" * (VALUE_BYTES - _EMPTY - len(str(seq)))
    identity = str(uuid.uuid4())
    return encode(Count(seq=seq, filler=filler), key=key, message_id=identity, origin=Origin(identity, key, "bench"), now_ms=now_ms)


def chunks(rows: Sequence[Outgoing], size: int) -> list[Sequence[Outgoing]]:
    """The rows in pieces of at most `size`."""
    return [rows[i : i + size] for i in range(0, len(rows), size)]
