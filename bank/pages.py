"""The bank's pages, where a member confirms with his deposit password what a platform has put for him. Plain HTML, no script.

The URL's token is unguessable and compared in constant time. One confirmation, many looks: what was confirmed shows how it
stands. The deposit password is hashed or checked here and goes nowhere else. Who has no account is told what a wrong password is told.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agents.runtime import canonical
from agents.runtime.canonical import Unacceptable
from agents.runtime.http.bodies import read_body, refuse_encoding
from agents.runtime.http.door import LOGGED_PATH, TRACE
from agents.runtime.http.hashing import Hasher
from agents.runtime.http.problems import Problem
from agents.runtime.http.store_reader import StoreUnreadable
from agents.runtime.sealing import Keyring, mask_bank_card, mask_id_number, mask_mobile
from bank.content import SEALED_FIELD
from bank.messages import ConfirmByMember, RefuseByMember
from bank.model import Request, Status
from bank.reader import BankReader
from bank.teller import Teller
from bank.throttle import Throttle

PATH: Final = "/p"
FORM_BYTES_MAX: Final = 4_096
FIELDS_MAX: Final = 4
FORM: Final = "application/x-www-form-urlencoded"
POLICY: Final = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
TEMPLATES: Final = Path(__file__).parent / "templates"
PASSWORD, AGAIN = "deposit_password", "deposit_password_again"

_WRONG: Final = "This deposit password is not right."
_HTML = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


class NoForm(Exception):
    """What was posted is not a form of this page; the text says it to the member."""


class Pages:
    """Shows, confirms and refuses; `request_no` and token come from the URL."""

    def __init__(self, *, teller: Teller, reader: BankReader, keyring: Keyring, hasher: Hasher, throttle: Throttle) -> None:
        self._teller = teller
        self._reader = reader
        self._keyring = keyring
        self._hasher = hasher
        self._throttle = throttle
        self._nobodys_hash: str | None = None  # what is checked where there is no account: it takes as long

    def routes(self) -> list[web.RouteDef]:
        """The page, its two forms, its style."""
        page = f"{PATH}/{{request_no}}/{{token}}"
        return [
            web.get("/style.css", _style),
            web.get(page, self.show, allow_head=False),
            web.post(page, self.confirm),
            web.post(f"{page}/refuse", self.refuse),
        ]

    def path(self, request_no: str) -> str:
        """Where the page of a request is, token and all."""
        return f"{PATH}/{request_no}/{self._keyring.token(_meant(request_no))}"

    async def show(self, request: web.Request) -> web.Response:
        """How the request stands; a look changes nothing."""
        found = await self._found(request)
        return self._page(found) if found else _nothing()

    async def confirm(self, request: web.Request) -> web.Response:
        """The member confirms; what is not waiting for him any more is shown as it stands, whatever he sends."""
        found = await self._found(request)
        if found is None:
            return _nothing()
        try:
            form = await _form(request)
        except NoForm as exc:
            return self._page(found, str(exc), status=400)
        if found.status is not Status.AWAITING:
            return _see(self.path(found.id))
        if found.kind == "open_account":
            return await self._open(found, form)
        return await self._confirmed(found, form)

    async def refuse(self, request: web.Request) -> web.Response:
        """The member refuses; the token alone is enough for that."""
        found = await self._found(request)
        if found is None:
            return _nothing()
        if found.status is Status.AWAITING:
            await self._teller.say(found.id, RefuseByMember(id=found.id), principal="member")
        return _see(self.path(found.id))

    async def _open(self, found: Request, form: Mapping[str, str]) -> web.Response:
        """The first deposit password, typed twice."""
        try:
            password = canonical.password(form.get(PASSWORD))
        except Unacceptable as exc:
            return self._page(found, f"The deposit password cannot be used: {exc.message}.", status=422)
        if form.get(PASSWORD) != form.get(AGAIN):
            return self._page(found, "The two deposit passwords are not the same.", status=422)
        sealed = self._keyring.seal(await self._hasher.hash(password), field="password_hash")
        await self._teller.say(found.id, ConfirmByMember(id=found.id, password_hash=sealed), principal="member")
        return _see(self.path(found.id))

    async def _confirmed(self, found: Request, form: Mapping[str, str]) -> web.Response:
        custody_no = str(found.content["custody_no"])
        if (wait_ms := self._throttle.wait_ms(custody_no)) > 0:
            said = self._page(found, "Too many wrong deposit passwords. Try again later.", status=429)
            said.headers["Retry-After"] = str(-(-wait_ms // 1000))
            return said
        self._throttle.try_(custody_no)
        if not await self._fits(custody_no, form.get(PASSWORD)):
            return self._page(found, _WRONG, status=403)
        self._throttle.right(custody_no)
        await self._teller.say(found.id, ConfirmByMember(id=found.id), principal="member")
        return _see(self.path(found.id))

    async def _fits(self, custody_no: str, typed: str | None) -> bool:
        """Whether this is the account's deposit password; no account and no possible password take as long."""
        try:
            account = await self._reader.account(custody_no)
        except StoreUnreadable:
            raise Problem("unavailable", "The bank's books cannot be read just now.", headers={"Retry-After": "1"}) from None
        try:
            password = canonical.password(typed)
        except Unacceptable:
            password, account = "", None
        if self._nobodys_hash is None:
            self._nobodys_hash = await self._hasher.hash(secrets.token_hex())
        known = self._keyring.open(account.password_hash, field="password_hash") if account else self._nobodys_hash
        return await self._hasher.verify(known, password) and account is not None

    async def _found(self, request: web.Request) -> Request | None:
        """The request of the URL, if its token fits and it has a page."""
        request[LOGGED_PATH] = f"{PATH}/{{request_no}}/{{token}}"
        request_no, token = request.match_info["request_no"], request.match_info["token"]
        if not self._keyring.token_fits(token, _meant(request_no)):
            return None
        request[TRACE] = request_no
        found = await self._teller.look(request_no)
        return found if found is not None and found.page else None

    def _page(self, found: Request, wrong: str = "", *, status: int = 200) -> web.Response:
        path = self.path(found.id)
        text = _HTML.get_template("request.html").render(
            request=found,
            facts=self._facts(found),
            wrong=wrong,
            path=path,
            opens=found.kind == "open_account",
            awaits=found.status is Status.AWAITING,
            least=canonical.PASSWORD_CHARS[0],
            most=canonical.PASSWORD_CHARS[1],
        )
        return _html(text, status)

    def _facts(self, found: Request) -> list[tuple[str, str]]:
        """What is to be confirmed, line by line."""
        said = found.content
        facts = [("Platform", found.platform)]
        if found.sealed_content is not None and found.status is Status.AWAITING:
            person = orjson.loads(self._keyring.open(found.sealed_content, field=SEALED_FIELD))
            facts += [("Name", person["name"]), ("ID number", mask_id_number(person["id_number"]))]
            facts += [("Card", mask_bank_card(person["card_number"])), ("Mobile", mask_mobile(person["mobile"]))]
        for field, name in (("amount_fen", "Amount"), ("due_fen", "Amount"), ("cap_fen", "At most each time")):
            if field in said:
                facts.append((name, yuan(said[field])))
        for field, name in (("custody_no", "Your account"), ("project_no", "Project"), ("expires_on", "Until"), ("valid_on", "On")):
            if field in said:
                facts.append((name, str(said[field])))
        return facts


def yuan(fen: int) -> str:
    """An amount as people read it: ¥1,234.50."""
    return f"¥{fen // 100:,}.{fen % 100:02d}"


def _meant(request_no: str) -> str:
    """What a page's token is made of: it opens this page only."""
    return f"{PATH}/{request_no}"


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a form, each once. Raises NoForm, or Problem for a body that is too long, too slow or compressed."""
    refuse_encoding(request.headers.getall("Content-Encoding", ()))
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        raise NoForm("This page takes its own form only.")
    raw = await read_body(request, FORM_BYTES_MAX)
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise NoForm("This page takes its own form only.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise NoForm("A field was sent twice.")
    return form


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path, "Content-Security-Policy": POLICY})


def _html(text: str, status: int) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers={"Content-Security-Policy": POLICY})


def _nothing() -> web.Response:
    return _html(_HTML.get_template("nothing.html").render(), 404)


async def _style(_: web.Request) -> web.Response:
    return web.Response(text=(TEMPLATES / "style.css").read_text(encoding="utf-8"), content_type="text/css")
