"""What a bus may raise.

BusError
├── LostLease          somebody else owns the group now; nothing was written
├── RecordRefused      this record can never be appended (too large, unknown topic); nothing of the call was written
├── BusAway            the log cannot be reached or written just now (locked, disk full); nothing was written, try again
├── LogMadeAnew        positions that speak of an earlier log
└── RunMissing         what lies between two runs has not come; read again from the position
"""


class BusError(Exception):
    """The root; catch this at a door, never inside."""


class LostLease(BusError):
    """Somebody else owns the group now; nothing was written."""


class RecordRefused(BusError):
    """A record can never be appended; nothing of the call was written."""


class BusAway(BusError):
    """The log cannot be reached or written just now; nothing was written."""


class LogMadeAnew(BusError):
    """A position speaks of an earlier log under this name."""


class RunMissing(BusError):
    """A run begins behind where the one before it ended: something between them was not delivered. Read again from the position."""
