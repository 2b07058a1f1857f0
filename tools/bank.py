"""`lendbus bank`: the custody bank, a separate company in a process of its own, and what its operator does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from tools.options import Options
from tools.output import Column, Failed, WrongUse, say

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.crew import Crew

DAYS_MAX: Final = 3_660
DEFAULT: Final = "serve"  # what `lendbus bank` alone means
PORT = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port of the bank; 0 takes a free one.")]
PLATFORM = Annotated[str, typer.Option("--platform", metavar="NAME", help="1 to 63 of a-z, 0-9 and hyphen.")]
NOTIFY_URL = Annotated[str, typer.Option("--notify-url", metavar="URL", help="Where its notices go; a loopback one stays on this machine.")]
OUT = Annotated[Path, typer.Option("--out", metavar="FILE", help="Its credentials file, mode 0600; replaced when it is there.")]
DAYS = Annotated[int, typer.Option("--days", min=1, max=DAYS_MAX, help="Close so many days, one after the other.")]
WHAT = Annotated[Literal["close", "show"], typer.Argument(help="`close` ends the business day, `show` says which it is.")]
FINDINGS: Final = (Column("result"), Column("rule"), Column("id", fixed=True), Column("detail"))


def serve(options: Options, port: PORT = None) -> int:
    """Run the bank until Ctrl-C: its ledger, its notifier, its API and its pages, on a bus, stores and keys of its own."""
    from tools import processes
    from tools.bank_place import folder_of
    from tools.platform_lock import platform_lock

    own = own_settings(options, port)
    with platform_lock(folder_of(own)):
        return processes.run(own, lambda crew: _serve(crew, options, own))


def enrol(options: Options, platform: PLATFORM, notify_url: NOTIFY_URL, out: OUT) -> None:
    """Let a platform speak to the bank: two secrets, one for each direction, written for it. Enrolled again it keeps them."""
    from bank.enrolment import EnrolmentError, write_private
    from tools.bank_place import platforms_of

    own = own_settings(options)
    if own.bank_url is None and not own.port:
        raise WrongUse("the bank takes a free port, so nobody knows where it will be: set LENDBUS_BANK_PORT or LENDBUS_BANK_URL")
    try:
        enrolled = platforms_of(own).enrol(platform, notify_url)
        write_private(out.expanduser().absolute(), enrolled.credentials(url_of(own)))
    except EnrolmentError as exc:
        raise WrongUse(str(exc)) from None
    options.out.block({"platform": enrolled.name, "notify_url": enrolled.notify_url, "url": url_of(own), "credentials": str(out)})
    say("a bank that runs knows it at once; hand the credentials file over by a safe way, and to nobody else")


def day(options: Options, what: WHAT, days: DAYS = 1) -> None:
    """Show or close the bank's business day; every platform is told of each new one."""
    from bank.day import DayStaysOpen
    from bank.queries import business_date
    from bus.errors import BusError
    from tools.bank_day import close_days
    from tools.reading import ask

    own = own_settings(options)
    date = options.run(ask(own, "bank", business_date))  # a bank that was never there is said, and nothing made of it
    if what == "close":
        try:
            date = options.run(close_days(own, days))
        except (DayStaysOpen, BusError) as exc:
            raise Failed(str(exc)) from None
    if date is None:
        raise Failed("the bank's first day has not begun: start it with `lendbus bank serve`")
    options.out.block({"date": date})


def check(options: Options) -> None:
    """Whether the bank's books hold together: its journal, its balances, its holds and projects; exit code 1 with what does not."""
    from tools.bank_check import findings

    rows = options.run(findings(own_settings(options)))
    options.out.rows(rows, FINDINGS, empty="the bank's books hold together")
    if rows:
        raise Failed(f"{len(rows)} findings: the bank's books do not hold together")


def own_settings(options: Options, port: int | None = None) -> "Settings":
    """The bank's own settings beside the platform's; `port` wins over its setting."""
    own = options.settings.of_bank()
    return own if port is None else own.model_copy(update={"port": port, "bank_port": port})


def url_of(own: "Settings") -> str:
    """Where the bank will be reached."""
    host = f"[{own.host}]" if ":" in own.host else own.host
    return own.bank_url or f"http://{host}:{own.port}"


async def _serve(crew: "Crew", options: Options, own: "Settings") -> int:
    import os

    from tools.bank_place import folder_of
    from tools.processes import serve_until_stopped
    from tools.serving_bank import start_bank
    from tools.supervisor import end_with_supervisor

    end_with_supervisor()
    url = await start_bank(crew, own)
    options.out.block({"url": url, "ready": f"{url}/readyz", "data": str(folder_of(own)), "pid": os.getpid()})
    return await serve_until_stopped()


COMMANDS = {"serve": serve, "enrol": enrol, "day": day, "check": check}
