"""A process whose files were removed or replaced under it would go on answering, and lose everything: it ends instead."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 1.0


class FileReplaced(Exception):
    """What stands under the path is not the file that this process has open."""


class FileGuard:
    """A part of a serving process: looks whether each file still stands where it was opened."""

    name = "files"

    def __init__(self, paths: Sequence[Path], *, every_s: float = LOOK_EVERY_S) -> None:
        self._paths = paths
        self._every_s = every_s
        self._stop = asyncio.Event()
        self._known: dict[Path, int] = {}

    async def run(self) -> None:
        """Look until `request_stop`. Raises FileReplaced."""
        while not self._stop.is_set():
            self.look()
            try:
                async with asyncio.timeout(self._every_s):
                    await self._stop.wait()
            except TimeoutError:
                continue

    def look(self) -> None:
        """Remember what is new, compare what is known. Raises FileReplaced."""
        for path in self._paths:
            inode = _inode(path)
            if inode is not None:
                self._known.setdefault(path, inode)
            if path in self._known and inode != self._known[path]:
                done = "removed" if inode is None else "replaced"
                raise FileReplaced(
                    f"{path} was {done} while it was in use; what this process writes would be lost: put the folder back and start again"
                )

    def request_stop(self) -> None:
        """End `run`."""
        self._stop.set()


def _inode(path: Path) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None
