"""All processes of a disturbed story: a worker for each service, one that understudies all of them, the gateway, the bank.

Whoever ends is started again. Faults come by files (`Arming`): a fault for a service waits in its worker and in the understudy, which
may be who has the service.
"""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stores.inspection import positions
from tools.chaos.arming import Arming, Hit
from tools.chaos.plan import BANK, GATEWAY, Fault
from tools.children import Child
from tools.output import WrongUse
from tools.reading import ask
from tools.services import SERVICES
from tools.story.house import House, free_port, told
from tools.story.http import wait

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.webhook_relay import Choose

UNDERSTUDY: Final = "understudy"
LOOK_S: Final = 0.05
STORES_WITHIN_S: Final = 60.0
TARGETS: Final = (*SERVICES, UNDERSTUDY, GATEWAY, BANK)


@dataclass
class Company:
    """The processes, and what has struck them. `heard` is told of every hit."""

    house: House
    arming: Arming
    children: dict[str, Child]
    heard: Callable[[Hit], None]
    counted: Counter[str] = field(default_factory=Counter)
    _side: set["asyncio.Task[None]"] = field(default_factory=set)

    @classmethod
    async def gather(cls, settings: "Settings", choose: "Choose", heard: Callable[[Hit], None]) -> "Company":
        """Everybody is there; nobody plays yet."""
        arming = Arming(settings.data)
        settings = settings.model_copy(update={"port": free_port()})
        house = await House.build(settings, choose, arming.environment(BANK), keep=True)
        environment = told(house.settings)

        def child(name: str, *words: str) -> Child:
            return Child(name, words, {**environment, **arming.environment(name)}, settings.data, keep=True)

        children = {service: child(service, "worker", service) for service in SERVICES}
        children[UNDERSTUDY] = child(UNDERSTUDY, "worker", *SERVICES)
        children[GATEWAY] = child(GATEWAY, "gateway")
        return cls(house, arming, {**children, BANK: house.bank}, heard)

    @property
    def url(self) -> str:
        """The gateway's."""
        return f"http://{self.house.settings.host}:{self.house.settings.port}"

    async def open(self) -> None:
        """Let everybody play; the workers first, so that the understudy waits. Raises NotStarted, TooLong."""
        await self.house.open()
        for service in SERVICES:
            await self.children[service].start()
        await self.children[GATEWAY].start(says_where=True)
        await self.children[UNDERSTUDY].start()
        self.house.lead_to(self.url)
        await wait(self._have_stores, STORES_WITHIN_S, lambda: "the workers have not made their stores")
        self._beside(self._watch())

    async def _have_stores(self) -> bool | None:
        """Every worker has made its store."""
        for service in SERVICES:
            try:
                await ask(self.house.settings, service, positions)
            except WrongUse:
                return None
        return True

    async def close(self) -> None:
        """End everybody."""
        for task in self._side:
            task.cancel()
        await asyncio.gather(*self._side, return_exceptions=True)
        await asyncio.gather(*(child.stop() for child in self.children.values()))
        await self.house.close()

    def arm(self, fault: Fault) -> None:
        """The fault waits in its target; one for a service in the understudy as well."""
        self.arming.arm(fault)
        if fault.target in SERVICES:
            self.arming.arm(Fault(fault.scene, UNDERSTUDY, fault.text, fault.frozen_s))

    def calm(self) -> None:
        """No fault waits any longer, and nobody stands still."""
        self.arming.disarm()
        for child in self.children.values():
            child.send(signal.SIGCONT)

    def look(self) -> None:
        """What has struck since the last look."""
        for hit in self.arming.struck(TARGETS):
            self.counted["kills" if hit.fault.is_kill else "freezes"] += 1
            self.heard(hit)
            if not hit.fault.is_kill:
                self._beside(_wake(hit.pid, hit.fault.frozen_s))

    async def _watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def _beside(self, work: "asyncio.Future[None] | object") -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._side.add(task)
        task.add_done_callback(self._side.discard)


async def _wake(pid: int, after_s: float) -> None:
    """A process that stands still at a fault point goes on after a while, unless somebody has ended it."""
    await asyncio.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
