"""`lendbus admin create`: a log-in for somebody who works here. Past the operators' API, so on this machine only, audited.

The administrator role is made this way only while there are fewer than two (DESIGN 3).
"""

import asyncio
import secrets
import sys
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from config.roles import STAFF
from tools import operate
from tools.operate import UNSAFE_LOCAL
from tools.options import Options
from tools.output import Failed, WrongUse, say

if TYPE_CHECKING:
    from agents.runtime.operator import Act
    from agents.runtime.sealing import Keyring
    from config.settings import Settings
    from topics import CreateStaff

ROLES: Final = STAFF
ADMINISTRATORS_MAX: Final = 2  # beyond this an administrator makes the next one
PASSWORD_BYTES: Final = 18
MADE_WITHIN_S: Final = 20.0
LOOK_S: Final = 0.05
ROLE = Annotated[str, typer.Option("--role", help="auditor, operator or administrator.")]
STDIN = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input; else one is made and printed.")]


def create(
    options: Options,
    login_name: Annotated[str, typer.Argument(help="What this person logs in with.")],
    role: ROLE = "",
    password_stdin: STDIN = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes into the audit row.")] = "a log-in for staff",
    unsafe_local: UNSAFE_LOCAL = False,
) -> None:
    """Make a log-in for somebody who works here; the accounts worker must run. A password that was made is printed once."""
    operate.must_be_said(options, unsafe_local, "admin create")
    if role not in ROLES:
        raise WrongUse(f"--role is one of {', '.join(ROLES)}")
    given = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(PASSWORD_BYTES)
    which = options.run(created(options, login_name, role, given, operate.acting(reason)))
    options.out.block({"id": which, "login_name": login_name, "role": role, **({} if password_stdin else {"password": given})})
    if not password_stdin:
        say("the password is not kept anywhere: hand it on now")


async def created(options: Options, login_name: str, role: str, password: str, act: "Act") -> str:
    """The id of the log-in, which can be used from now on. Raises WrongUse for what is not acceptable, Failed when it was not made."""
    from agents.runtime import canonical, operator
    from agents.runtime.canonical import Unacceptable
    from tools.places import home_of
    from tools.starting import loaded_keyring

    try:
        name, secret = canonical.login_name(login_name), canonical.password(password)
    except Unacceptable as exc:
        raise WrongUse(exc.message) from None
    settings, which = options.settings, str(uuid.uuid4())
    await _must_be_free(settings, name, role)
    message = await _asked(settings, await loaded_keyring(settings), which, name, role, secret)
    home = home_of(settings, "accounts", which)
    work = partial(operator.tell, act=act, actor=which, message=message, partition=home, message_id=str(uuid.uuid4()))
    await operate.write(options, "accounts", work)
    await _until_made(settings, which, name)
    return which


async def _must_be_free(settings: "Settings", name: str, role: str) -> None:
    from stores.accounts import account_by_login, count_of_role
    from tools.reading import ask

    if await ask(settings, "accounts", partial(account_by_login, login_name=name, mobile_lookup="")) is not None:
        raise Failed(f"the login name {name} is taken: say another one")
    if role == "administrator" and await ask(settings, "accounts", partial(count_of_role, role=role)) >= ADMINISTRATORS_MAX:
        raise Failed(f"there are {ADMINISTRATORS_MAX} administrators: they make the next one, this command does not")


async def _asked(settings: "Settings", ring: "Keyring", which: str, name: str, role: str, password: str) -> "CreateStaff":
    from agents.runtime.http.hashing import Hasher
    from topics import CreateStaff

    hasher = Hasher(settings)
    try:
        sealed = ring.seal(await hasher.hash(password), field="password_hash")
    finally:
        hasher.close()
    return CreateStaff(id=which, login_name=name, password_hash=sealed, role=role)


async def _until_made(settings: "Settings", which: str, name: str) -> None:
    """The accounts worker makes it; a name that somebody else has taken meanwhile is not made."""
    from stores.accounts import account_by_login
    from tools.reading import ask

    end_s = time.monotonic() + MADE_WITHIN_S
    while time.monotonic() < end_s:
        if (found := await ask(settings, "accounts", partial(account_by_login, login_name=name, mobile_lookup=""))) is not None:
            if found.id != which:
                raise Failed(f"the login name {name} was taken meanwhile: say another one")
            return
        await asyncio.sleep(LOOK_S)
    raise Failed(f"not made within {MADE_WITHIN_S:g} s: does the accounts worker run? It makes {which} as soon as it does")


COMMANDS = {"create": create}
