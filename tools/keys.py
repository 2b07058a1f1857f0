"""`lendbus keys`: the key file of a platform. Made by hand, once, where bus or stores are shared; copied to every other machine."""

from typing import TYPE_CHECKING

from tools.options import Options
from tools.output import Failed, WrongUse, say

if TYPE_CHECKING:
    from config.keys import Keys


def make(options: Options) -> None:
    """Make the key file of a platform that never ran; one that is there already is kept, and this ends with 2."""
    from config import keys
    from tools.assemble import written_stores

    path = options.settings.key_path()
    if path.exists():
        raise WrongUse(f"there is a key file {path} already: `lendbus keys show` tells which; nothing was changed")
    if written := written_stores(options.settings):
        raise WrongUse(f"the stores of {' and '.join(written)} were written with other keys: put their key file back as {path}")
    try:
        made = keys.load_or_create(path, may_generate=True)
    except keys.KeyFileError as exc:
        raise Failed(str(exc)) from None
    _print(options, made)
    say(f"copy {path} (mode 0600) to every machine of this platform and to a safe place: without it nobody is recognized")


def show(options: Options) -> None:
    """Where the key file is and which keys it holds, by fingerprint and name; no key is shown."""
    from config import keys

    try:
        held = keys.load_or_create(options.settings.key_path(), may_generate=False)
    except keys.KeyFileError as exc:
        raise Failed(str(exc)) from None
    _print(options, held)


def _print(options: Options, held: "Keys") -> None:
    from agents.runtime.sealing import Keyring

    fingerprint = Keyring.from_keys(held).fingerprint()
    path = str(options.settings.key_path())
    options.out.block({"key_file": path, "look_up_key": fingerprint, "seals_with": held.writes, "opens": sorted(held.seal)})


COMMANDS = {"make": make, "show": show}
