"""Passwords are hashed at the edge: argon2id on a few threads, with a bounded queue before them (DESIGN 3)."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher

from agents.runtime.http.problems import busy
from config.settings import Settings

HASHES_AT_ONCE: Final = max(1, min(4, os.cpu_count() or 1))  # each takes the memory of one hash and a core
HASHES_WAITING_MAX: Final = 200  # with those in work; about seven seconds of work for one core


class Hasher:
    """Hashes canonical passwords; the event loop is never held up by it."""

    def __init__(self, settings: Settings) -> None:
        self._argon2id = PasswordHasher(settings.argon2_time_cost, settings.argon2_memory_kib, settings.argon2_parallelism)
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="hash")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The argon2id hash with its parameters and salt in it. Raises Problem when too many wait."""
        if self._waiting >= HASHES_WAITING_MAX:
            raise busy("Too many passwords are waiting to be hashed; nothing was done. Send the same request again.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._argon2id.hash, password)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
