"""What a bench needs around the service: messages of the right length, a worker on its terms."""

import time
import uuid
from collections.abc import Sequence

from agents.runtime.envelope import Origin, encode
from agents.runtime.pruning import DAY_MS, Keep
from agents.runtime.worker import Surroundings
from bus.record import Outgoing
from tools.bench.place import Place
from tools.bench.service import TOPICS, Count

VALUE_BYTES = 191
KEEP = Keep(9 * DAY_MS, 90 * DAY_MS, 9 * DAY_MS, 30 * DAY_MS, DAY_MS, 7 * DAY_MS, DAY_MS // 2, 3600.0)
_EMPTY = len(b'{"seq":,"filler":""}')


def surroundings(place: Place, service: str, batch_max: int = 500) -> Surroundings:
    """What a stage's worker stands on; its store was made before (`Place.make_store`)."""
    return Surroundings(place.bus_url, place.store_url(service), place.topics(TOPICS), KEEP, batch_max)


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
