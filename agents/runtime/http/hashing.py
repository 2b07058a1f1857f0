"""Passwords are hashed and checked at the edge: argon2id on a few threads, with a bounded queue before them (DESIGN 3)."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from agents.runtime.http.problems import busy
from config.settings import Settings

T = TypeVar("T")

HASHES_AT_ONCE: Final = max(1, min(4, os.cpu_count() or 1))  # each takes the memory of one hash and a core
HASHES_WAITING_MAX: Final = 200  # with those in work; about seven seconds of work for one core


class Hasher:
    """Hashes canonical passwords, and checks them; the event loop is never held up by it."""

    def __init__(self, settings: Settings) -> None:
        self._argon2id = PasswordHasher(settings.argon2_time_cost, settings.argon2_memory_kib, settings.argon2_parallelism)
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="hash")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The argon2id hash with its parameters and salt in it. Raises Problem when too many wait."""
        return await self._on_a_thread(partial(self._argon2id.hash, password))

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether a hash is the password's; it takes as long for a wrong one. Raises Problem when too many wait."""
        return await self._on_a_thread(partial(self._is_of, password_hash, password))

    def _is_of(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2id.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _on_a_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= HASHES_WAITING_MAX:
            raise busy("Too many passwords are waiting to be hashed; nothing was done. Send the same request again.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
