"""A member and the bank: opening a custody account (开户), recharging it, authorizing repayments; each by an order of custody (FLOWS 3).

(none) ──► PENDING ──the bank's page──► AWAITING ──► OPENED | DONE | ON
   └──► REFUSED                             └──────► REFUSED | CLOSED
any of them ──the bank contradicts itself──► SUSPENDED ──the order's end──► as above

A refused request is kept with its reason. A person (by the keyed hash of the identity number) has one membership with an account;
he is claimed while a request of his is open, or an account is there.
"""

import json
from typing import Any

from agents.custody.messages import OrderAwaiting, OrderDisputed, OrderEnded, PlaceOrder
from agents.runtime.decision import Claim, Context, Decision, Message, Send
from agents.users.messages import (
    TOPIC,
    AuthorizationChanged,
    AuthorizeRepay,
    MemberOpened,
    OpeningChanged,
    RequestRecharge,
    SubmitOpening,
    TransferChanged,
)
from agents.users.model import Dealing, Kind, Member, MemberStatus, Registration, Standing

Wish = SubmitOpening | RequestRecharge | AuthorizeRepay
Word = OrderAwaiting | OrderEnded | OrderDisputed
COMMANDS = (SubmitOpening, RequestRecharge, AuthorizeRepay, OrderAwaiting, OrderEnded, OrderDisputed)
SUCCESS = {Kind.OPENING: Standing.OPENED, Kind.TRANSFER: Standing.DONE, Kind.AUTHORIZATION: Standing.ON}
ORDERS = {Kind.OPENING: "open_account", Kind.TRANSFER: "recharge", Kind.AUTHORIZATION: "authorize"}
REPAY = "repay"
SECOND_ACCOUNT = "second_account"


def behave(registration: Registration | None, command: Wish | Word, context: Context) -> Decision[Registration]:
    """What becomes of the member's request; whoever is no member gets none."""
    member = registration.member if registration is not None else None
    if registration is None or member is None or member.status is not MemberStatus.AVAILABLE:
        if isinstance(command, Word):
            return Decision.stay(registration)
        made = _made(command, context).but(status=Standing.REFUSED, reason="no_member")
        return Decision(registration, reply=changed(made), refused=True)
    known = registration.seen.get(command.id)
    match command:
        case OrderAwaiting() | OrderEnded() | OrderDisputed():
            return Decision.stay(registration) if known is None else told(registration, member, known, command, context)
        case _ if known is not None:
            return Decision(registration, reply=changed(known))
        case SubmitOpening():
            return submit(registration, member, command, context)
        case RequestRecharge() | AuthorizeRepay():
            return want(registration, member, command, context)


def submit(registration: Registration, member: Member, command: SubmitOpening, context: Context) -> Decision[Registration]:
    """Ask for an account: one request at a time, one account a member, one membership a person."""
    made = _made(command, context)
    if member.custody_no is not None:
        return _not_begun(registration, member, made.but(reason="has_account"))
    if member.opening is not None:
        return _not_begun(registration, member, made.but(reason="opening_open", open_id=member.opening))
    if context.claims_lost:
        return _not_begun(registration, member, made.but(reason="person_taken"))
    personal = {"name": command.name, "id_number": command.id_number, "card_number": command.card_number, "mobile": member.mobile}
    after = registration.but(member=member.but(opening=made.id)).put(made)
    order = _order(made, {"member_id": member.id}, sealed=json.dumps(personal))
    return Decision(after, sends=(order,), aliases=(made.id,))


def _not_begun(registration: Registration, member: Member, made: Dealing) -> Decision[Registration]:
    """A row with its outcome; beside an open opening it names that one. The person stays whose he was before."""
    open_ = registration.seen.get(member.opening or "")
    refused = made.but(status=Standing.REFUSED)
    mine = (member.person_lookup, open_.person_lookup if open_ is not None else None)
    frees = () if made.person_lookup in mine else _person(made)
    return Decision(registration.put(refused), reply=changed(refused, open_), frees=frees)


def want(registration: Registration, member: Member, command: RequestRecharge | AuthorizeRepay, context: Context) -> Decision[Registration]:
    """Put money on the account, or let the platform collect what is due."""
    made = _made(command, context)
    if member.custody_no is None:
        refused = made.but(status=Standing.REFUSED, reason="no_custody_account")
        return Decision(registration.put(refused), reply=changed(refused))
    content: dict[str, object] = {"custody_no": member.custody_no}
    if isinstance(command, RequestRecharge):
        content["amount_fen"] = command.amount_fen
    else:
        content |= {"scope": REPAY, "cap_fen": command.cap_fen, "expires_on": command.expires_on}
    return Decision(registration.put(made), sends=(_order(made, content),), aliases=(made.id,))


def told(registration: Registration, member: Member, known: Dealing, command: Word, context: Context) -> Decision[Registration]:
    """What custody says of the order: an end is for good, unless the bank contradicts itself."""
    if known.status.is_final and not isinstance(command, OrderDisputed):
        return Decision.stay(registration)
    match command:
        case OrderAwaiting() if known.status is Standing.SUSPENDED:
            return Decision.stay(registration)
        case OrderAwaiting():
            after = known.but(status=Standing.AWAITING, page_url=command.page_url, changed_ms=context.instant_ms)
            return Decision(registration.put(after), reply=changed(after))
        case OrderDisputed():
            reason = f"disputed: noticed {command.noticed}, answered {command.queried}"
            after = known.but(status=Standing.SUSPENDED, reason=reason, changed_ms=context.instant_ms)
            return Decision(registration.put(after), reply=changed(after))
        case OrderEnded(result="succeeded"):
            return succeeded(registration, member, known, command, context)
        case OrderEnded():
            return failed(registration, member, known, command, context)


def succeeded(registration: Registration, member: Member, known: Dealing, command: OrderEnded, context: Context) -> Decision[Registration]:
    """It is done; an account is the member's from now on."""
    after = known.but(status=SUCCESS[known.kind], page_url=None, reason=None, changed_ms=context.instant_ms)
    if known.kind is not Kind.OPENING:
        return Decision(registration.put(after), reply=changed(after))
    custody_no, card = str(command.details["custody_no"]), str(command.details.get("card", ""))
    if member.custody_no not in (None, custody_no) or member.opening not in (None, known.id):  # only after a dispute
        stands = known.but(reason=f"{SECOND_ACCOUNT}: {custody_no}", changed_ms=context.instant_ms)
        return Decision(registration.put(stands))
    opened = member.but(custody_no=custody_no, card=card, person_lookup=known.person_lookup, opening=None)
    after = after.but(custody_no=custody_no, card=card)
    fact = Send(member.id, MemberOpened(id=member.id, custody_no=custody_no))
    return Decision(registration.but(member=opened).put(after), sends=(fact,), reply=changed(after), aliases=(custody_no,))


def failed(registration: Registration, member: Member, known: Dealing, command: OrderEnded, context: Context) -> Decision[Registration]:
    """The bank has refused, or it was closed there; the member may try again under a new number."""
    status = Standing.CLOSED if command.result == "closed" else Standing.REFUSED
    after = known.but(status=status, page_url=None, reason=command.reason or command.result, changed_ms=context.instant_ms)
    if known.kind is not Kind.OPENING:
        return Decision(registration.put(after), reply=changed(after))
    if member.opening == known.id:
        member = member.but(opening=None)
    if known.custody_no is not None and member.custody_no == known.custody_no:  # it was an account until the bank said otherwise
        member = member.but(custody_no=None, card=None, person_lookup=None)
        after = after.but(custody_no=None, card=None)
    others = known.person_lookup == member.person_lookup or member.opening is not None  # another request's, or the account's
    return Decision(registration.but(member=member).put(after), reply=changed(after), frees=() if others else _person(known))


def _person(dealing: Dealing) -> tuple[Claim, ...]:
    return (Claim("person", dealing.person_lookup),) if dealing.person_lookup is not None else ()


def changed(dealing: Dealing, open_: Dealing | None = None) -> Message:
    """The answer to the member; beside the opening that is open already it shows that one's page."""
    said: dict[str, Any] = {"id": dealing.id, "member": dealing.member, "status": dealing.status.value, "page_url": dealing.page_url}
    match dealing.kind:
        case Kind.OPENING:
            said["page_url"] = open_.page_url if open_ is not None else dealing.page_url
            return OpeningChanged(**said, reason=dealing.reason, opening=dealing.open_id)
        case Kind.TRANSFER:
            return TransferChanged(**said, reason=dealing.reason)
        case Kind.AUTHORIZATION:
            return AuthorizationChanged(**said, reason=dealing.reason)


def _made(command: Wish, context: Context) -> Dealing:
    now = context.instant_ms
    match command:
        case SubmitOpening():
            return Dealing(
                Kind.OPENING, command.id, command.member, Standing.PENDING, now, now, person_lookup=command.person_lookup
            )  # fmt: skip
        case RequestRecharge():
            return Dealing(Kind.TRANSFER, command.id, command.member, Standing.PENDING, now, now, amount_fen=command.amount_fen)
        case AuthorizeRepay():
            return Dealing(
                Kind.AUTHORIZATION, command.id, command.member, Standing.PENDING, now, now, amount_fen=command.cap_fen,
                expires_on=command.expires_on,
            )  # fmt: skip


def _order(made: Dealing, content: dict[str, object], *, sealed: str | None = None) -> Send:
    said = PlaceOrder(
        id=made.id,
        kind=ORDERS[made.kind],
        content=content,
        sealed_content=sealed,
        page=True,
        amount_fen=made.amount_fen if made.kind is Kind.TRANSFER else 0,
        reply_topic=TOPIC,
        reply_key=made.member,
    )
    return Send(made.id, said)
