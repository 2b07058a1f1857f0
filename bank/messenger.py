"""The bank's notices over HTTP: one signed POST an attempt, the answer's status told back (docs/bank-api.md).

No redirect is followed, no proxy of the environment used, no answer read. An address that is not of the open internet is
never called, whatever a name resolves to, unless the platform was enrolled on this machine's loopback: then only that.
"""

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import aiohttp

from agents.runtime.http.signatures import headers_of
from bank.enrolment import EnrolmentError, Platform, Platforms
from config.bank import NOTICE_CALL_MS_MAX


class ForbiddenAddress(OSError):
    """A notice would go where none may go."""


class Messenger:
    """Tells platforms; `clock` is milliseconds UTC, for the time stamp of each attempt."""

    def __init__(self, platforms: Platforms, *, clock: Callable[[], int]) -> None:
        self._platforms = platforms
        self._clock = clock
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def post(self, name: str, webhook_id: str, body: bytes) -> int:
        """One attempt; the HTTP status of the answer. Raises whatever is in the way."""
        platform = self._platforms.get(name)
        if platform is None:
            raise EnrolmentError(f"{name} is not enrolled")
        signed = headers_of(platform.notice_secret, webhook_id, self._clock() // 1000, body.decode())
        headers = {"Content-Type": "application/json", "User-Agent": "lendbus-bank", **signed}
        async with self._session(platform).post(platform.notify_url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status

    async def close(self) -> None:
        """Close the connections."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def _session(self, platform: Platform) -> aiohttp.ClientSession:
        if (open_ := self._sessions.get(platform.loopback)) is None:
            connector = aiohttp.TCPConnector(socket_factory=_sockets(loopback=platform.loopback), limit=8)
            timeout = aiohttp.ClientTimeout(total=NOTICE_CALL_MS_MAX / 1000)
            open_ = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
            self._sessions[platform.loopback] = open_
        return open_


def _sockets(*, loopback: bool) -> Callable[[Any], socket.socket]:
    """Makes sockets for addresses that may be called; asked with what is really connected to, after every resolution."""

    def made(address: Any) -> socket.socket:
        family, kind, proto, _, where = address
        if not may_be_called(where[0], loopback=loopback):
            raise ForbiddenAddress(errno.EACCES, f"{where[0]} is no address that a notice may go to")
        return socket.socket(family, kind, proto)

    return made


def may_be_called(address: str, *, loopback: bool) -> bool:
    """Whether a notice may go to an IP address: a loopback one if the platform is enrolled there, else one of the open internet only."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback if loopback else found.is_global and not found.is_multicast
