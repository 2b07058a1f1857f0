"""A member process of the contract tests: copies a topic to another, appends under its fence, keeps its position in a store of its own.

Says in lines of JSON what becomes of it. Exit code 3: the lease was lost (on Kafka it goes on as another member).
Faults by `LENDBUS_FAULT` (config.faults).
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faust.types import TP

from bus.app import make_app
from bus.connect import connect
from bus.errors import BusAway, LostLease
from bus.record import Fence, Outgoing
from config import faults

LOST = 3


def say(event: str, **what: Any) -> None:
    print(json.dumps({"event": event, **what}), flush=True)


class Store:
    """A service's store in small: a file an epoch with the position, so that who froze while it wrote stands in nobody's way."""

    def __init__(self, path: str) -> None:
        self.folder = Path(path)
        self.folder.mkdir(exist_ok=True)
        self.fence: Fence | None = None

    async def identity(self) -> str:
        return ""

    async def assigned(self, tps: set[TP], fence: Fence) -> Mapping[TP, int]:
        self.fence = fence
        position = max((self._read(epoch) for epoch in self._epochs()), default=0)
        self._write(fence.epoch, position)
        say("active", epoch=fence.epoch, position=position)
        return dict.fromkeys(tps, position)

    async def revoked(self, tps: set[TP]) -> None:
        say("revoked")

    def save(self, position: int) -> bool:
        """Whether the store is still ours."""
        assert self.fence is not None
        ours = max(self._epochs()) == self.fence.epoch
        if ours:
            self._write(self.fence.epoch, position)
        else:
            say("refused", epoch=self.fence.epoch)
        return ours

    def _epochs(self) -> list[int]:
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdigit()]

    def _read(self, epoch: int) -> int:
        return int((self.folder / str(epoch)).read_text())

    def _write(self, epoch: int, position: int) -> None:
        new = self.folder / f"{epoch}.{os.getpid()}"
        new.write_text(str(position))
        new.replace(self.folder / str(epoch))


async def main(url: str, group: str, source: str, destination: str, path: str) -> int:
    store = Store(path)
    bus = connect(url)
    await bus.open()
    app = make_app(group, url, store)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def appended(run: list[Outgoing]) -> bool:
        assert store.fence is not None
        while True:
            try:
                await bus.append(run, fence=store.fence)
                return True
            except BusAway:
                await asyncio.sleep(0.05)
            except LostLease:
                say("refused", epoch=store.fence.epoch)
                return False

    async def copy(stream: Any) -> None:
        async for event in stream.noack().events():
            assert store.fence is not None
            mark = (("epoch", str(store.fence.epoch).encode()),)
            run = [Outgoing(destination, r.key, r.value, mark, r.timestamp_ms) for r in event.value]
            if await appended(run) and store.save(event.value[-1].offset + 1):
                event.ack()

    channel = app.topic(source, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    app.agent(channel, name=f"{group}.copy", concurrency=1)(copy)
    await app.start()
    say("started")
    ends = [asyncio.ensure_future(app.wait_until_stopped()), asyncio.ensure_future(stop.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    reason = app.crash_reason
    for end in ends:
        end.cancel()
    await app.stop()
    await bus.close()
    say("ended", reason=type(reason).__name__)
    return LOST if isinstance(reason, LostLease) else 0 if reason is None else 1


if __name__ == "__main__":
    faults.install_from_environment()
    sys.exit(asyncio.run(main(*sys.argv[1:])))
