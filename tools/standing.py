"""How far a group is on a partition, told by everybody who knows: the store, the group's offset, the log's ends.

For a service the position in its store is the truth; for any other group the offset on the bus is all there is. What is not known
is None, never a number that stands for it (CASES B22).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.output import PLAUSIBLE_MS

if TYPE_CHECKING:
    from stores.progress import Owner


@dataclass(frozen=True, slots=True)
class Standing:
    """One partition of one group."""

    group: str
    topic: str
    partition: int
    is_service: bool
    position: int | None = None  # of the service's store
    committed: int | None = None  # of the group
    ends: tuple[int, int] | None = None  # None: there is no such partition on the bus
    owner: "Owner | None" = None  # as the store has it
    member: str | None = None  # as the bus has it
    other_log: bool = False  # the position speaks of a log that is not this one
    unreadable: str | None = None  # why the store could not be asked
    waits_since_ms: int | None = None  # when the first unhandled record was appended
    waits: bool = True  # False: what is between position and end are no records

    @property
    def next_offset(self) -> int | None:
        """The first offset that is not handled yet."""
        return self.position if self.is_service else self.committed

    @property
    def lag(self) -> int | None:
        """Offsets that are not handled; None when that cannot be said."""
        if self.ends is None or self.other_log or self.unreadable:
            return None
        start, end = self.ends
        if self.next_offset is None:
            return 0 if start == end else None
        return None if self.next_offset > end else end - max(self.next_offset, start)

    @property
    def first(self) -> int | None:
        """Where the first unhandled record is looked for; None where nothing waits, or nobody knows."""
        if self.ends is None or self.ends[0] == self.ends[1] or self.lag == 0 or self.other_log or self.unreadable:
            return None
        at = self.ends[0] if self.next_offset is None else max(self.next_offset, self.ends[0])
        return at if at < self.ends[1] else None

    def behind_ms(self, now_ms: int) -> int | None:
        """For how long the first unhandled record has waited; None when that cannot be said."""
        if self.lag == 0 or not self.waits:
            return 0
        if self.waits_since_ms is None or self.waits_since_ms not in PLAUSIBLE_MS:
            return None
        return max(0, now_ms - self.waits_since_ms)

    def notes(self) -> list[str]:
        """What a reader would get wrong without being told."""
        found = [self.unreadable] if self.unreadable else []
        at, ends = self.next_offset, self.ends
        if ends is None:
            return [*found, "not on the bus"]
        if self.other_log:
            found.append("the position speaks of another log: the next owner begins at the earliest record")
        elif at is None and not self.unreadable:
            found += [f"nothing handled yet, {ends[1] - ends[0]} offsets from the start"] if ends[0] < ends[1] else []
        elif at is not None and at > ends[1]:
            found.append(f"{at - ends[1]} beyond the end: the log was made anew, or something is on its way")
        elif at is not None and at < ends[0]:
            found.append(f"{ends[0] - at} offsets gone before they were handled: retention took them")
        if self.lag and not self.waits:
            found.append("no records, only what transactions leave behind")
        goes_on_at = ends[0] if self.position is None else self.position
        if self.is_service and not self.unreadable and self.committed not in (None, goes_on_at):
            found.append(f"the group's offset is {self.committed}")
        return found
