"""How a fault comes into a process that runs, and how one knows that it has struck: by the file that the process looks at."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.chaos.plan import Fault

VARIABLE = "LENDBUS_FAULT"


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that has struck the process with this pid."""

    fault: Fault
    point: str
    pid: int


@dataclass
class Arming:
    """The fault files of every process, in one folder; the processes of one target (a worker and its understudy) share theirs."""

    folder: Path
    armed: dict[str, Fault] = field(default_factory=dict)

    def environment(self, target: str) -> dict[str, str]:
        """What a process of the target is told."""
        return {VARIABLE: f"@{self._file(target)}"}

    def arm(self, fault: Fault) -> None:
        """From now on the fault waits in its target; one that waited there has missed."""
        self.armed[fault.target] = fault
        self._put(fault.target, fault.text)

    def disarm(self) -> list[Fault]:
        """No fault waits any longer; those that had not struck."""
        missed = list(self.armed.values())
        for target in self.armed:
            self._put(target, "")
        self.armed.clear()
        return missed

    def struck(self, targets: Sequence[str]) -> list[Hit]:
        """What has struck since the last look. A fault strikes once: it is taken away with its first hit."""
        return [hit for target in targets if (hit := self._hit(target)) is not None]

    def _hit(self, target: str) -> Hit | None:
        said = self._file(target).with_suffix(".fault.hit")
        try:
            point, pid = said.read_text().split()
        except (FileNotFoundError, ValueError):  # not there, or not written to its end
            return None
        said.unlink()
        self._put(target, "")
        fault = self.armed.pop(target, None)
        return Hit(fault, point, int(pid)) if fault is not None else None

    def _put(self, target: str, text: str) -> None:
        other = self._file(target).with_suffix(".new")
        other.write_text(text)
        os.replace(other, self._file(target))

    def _file(self, target: str) -> Path:
        return self.folder / f"{target}.fault"
