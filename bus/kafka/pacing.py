"""aiokafka while a broker or a topic is away: it asks without a pause, and says each try aloud. Ours waits, and says it seldom.

Measured with a killed broker: one worker asked 370 times a second for metadata, burnt the core that the broker wanted for its
start, and wrote 4 MB of the same lines. With a topic that somebody had deleted a sender asked 2,000 times a second.
"""

import asyncio
import logging
import time
from typing import Any, Final

UPDATE_AGAIN_S: Final = 0.2  # whoever wants metadata that cannot be had waits so long together with everybody else
SAME_WORDS_S: Final = 10.0
TALKATIVE: Final = (
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
    "aiokafka.conn",
    "aiokafka.cluster",
)


def paced(client: Any) -> None:
    """Let an `AIOKafkaClient` pause after an update of its metadata that failed, or did not find what it asked for.

    All who wait for the update share the pause.
    """
    update = client._metadata_update

    async def patiently(cluster: Any, topics: Any) -> bool:
        done = bool(await update(cluster, topics))
        if not done or any(cluster.partitions_for_topic(topic) is None for topic in topics or ()):
            await asyncio.sleep(UPDATE_AGAIN_S)
        return done

    client._metadata_update = patiently


class Seldom(logging.Filter):
    """Lets the same words of one logger through once in `SAME_WORDS_S`."""

    def __init__(self) -> None:
        super().__init__()
        self._said_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; `record.msg` is the template, its values do not count."""
        now_s = time.monotonic()
        words = str(record.msg)
        if now_s - self._said_s.get(words, -SAME_WORDS_S) < SAME_WORDS_S:
            return False
        self._said_s[words] = now_s
        return True


def calm() -> None:
    """Let aiokafka's consumer and producer say the same seldom; repeated calls change nothing."""
    for name in TALKATIVE:
        logger = logging.getLogger(name)
        if not any(isinstance(each, Seldom) for each in logger.filters):
            logger.addFilter(Seldom())
