"""Whether a broker really answers: its metadata, and a coordinator that has loaded its groups' offsets."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from bus.kafka.local.errors import BrokerFailed

LOOK_EVERY_S: Final = 0.1
ASK_S_MAX: Final = 10.0
GROUP: Final = "lendbus-is-it-ready"  # nobody is in it; its offsets are asked for


class Answer(NamedTuple):
    """What a broker says of itself."""

    cluster: str
    topics: tuple[str, ...]


async def ask(address: str, timeout_s: float = ASK_S_MAX) -> Answer | None:
    """What the broker at host:port says; None when nobody answers in time, or no coordinator is there yet."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    if not await _listens(address, timeout_s):
        return None
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=int(timeout_s * 1000), client_id=GROUP)
    with _quiet():
        try:
            async with asyncio.timeout(timeout_s):
                await admin.start()
                cluster = await admin.describe_cluster()
                topics = await admin.list_topics()
                await admin.list_consumer_group_offsets(GROUP)
        except (KafkaError, OSError, TimeoutError):
            return None
        finally:
            await admin.close()
    return Answer(cluster["cluster_id"], tuple(sorted(name for name in topics if not name.startswith("__"))))


async def until_ready(address: str, within_s: float, is_alive: Callable[[], bool]) -> Answer:
    """Wait until the broker answers. Raises BrokerFailed when its process ends or the time is over."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while (left_s := deadline_s - loop.time()) > 0:
        if not is_alive():
            raise BrokerFailed("the broker ended while it started")
        if (answer := await ask(address, min(ASK_S_MAX, left_s))) is not None:
            return answer
        await asyncio.sleep(LOOK_EVERY_S)
    raise BrokerFailed(f"the broker did not answer at {address} within {within_s:.0f} s")


async def _listens(address: str, timeout_s: float) -> bool:
    """Whether anybody listens: aiokafka says loudly that nobody does."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


@contextmanager
def _quiet() -> Iterator[None]:
    """aiokafka logs every refusal of a broker that is just starting; the answer says it all."""
    log = logging.getLogger("aiokafka")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
