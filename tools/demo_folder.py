"""Where a demo lives: a new folder each time, the latest few of which stay, and a port that is free."""

import shutil
import socket
import time
from pathlib import Path
from typing import Final

from tools.demo_place import remove
from tools.output import WrongUse
from tools.platform_lock import NAME, is_free

KEPT: Final = 5  # folders of earlier demos
_PATTERN: Final = "[0-9]" * 8 + "-" + "[0-9]" * 6 + "*"


def demo_folder(data: Path) -> Path:
    """A new folder in `data/demo`; of the earlier ones the oldest go, unless a demo still runs there."""
    base = data / "demo"
    for old in sorted(base.glob(_PATTERN))[:-KEPT]:
        if (old / NAME).exists() and is_free(old):
            remove(old)
            shutil.rmtree(old, ignore_errors=True)
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    for number in range(100):
        folder = base / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            continue
        except OSError as exc:
            raise WrongUse(f"{folder} cannot be made: {exc.strerror}; say another folder with --data") from None
        return folder
    raise WrongUse(f"{base} has a hundred demos of this second: say another folder with --data")


def port_is_free(host: str, port: int) -> bool:
    """Whether somebody could listen there just now."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return True
    except OSError:
        return False
