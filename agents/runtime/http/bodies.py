"""Reading a request's body: bounded in bytes and in time, JSON and nothing else, never unpacked (CASES D18)."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from agents.runtime.canonical import Unacceptable
from agents.runtime.canonical_json import parse_json
from agents.runtime.http.problems import Fault, Problem, of_body

BODY_S_MAX: Final = 8.0  # less than a graceful stop, so that also the slowest sender is answered in it

_JSON = re.compile(r'application/json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?', re.ASCII | re.IGNORECASE)


async def read_json(request: web.Request, max_bytes: int) -> Any:
    """The body as `parse_json` reads it. Raises Problem."""
    refuse_content_type(request.headers.getall("Content-Type", ()))
    refuse_encoding(request.headers.getall("Content-Encoding", ()))
    body = await read_body(request, max_bytes)
    try:
        return parse_json(body, max_bytes=max_bytes)
    except Unacceptable as exc:
        raise of_body(exc) from None


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """The bytes of a body, with its length given before or not. Raises Problem for one that is too long or too slow."""
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    await _invite(request)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise Problem("body_timeout", f"The body was not complete after {BODY_S_MAX:g} seconds.") from None
    except (HttpProcessingError, web.RequestPayloadError):
        raise Problem("malformed_body", "The body is not in the transfer coding that its headers promise.") from None
    return bytes(body)


async def _invite(request: web.Request) -> None:
    expected = [value.strip().lower() for value in request.headers.getall("Expect", ())]
    if not expected:
        return
    if expected != ["100-continue"]:
        raise Problem("expectation_failed", "Expect takes 100-continue only.")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # what was sent is no part of the answer


def refuse_content_type(values: Sequence[str]) -> None:
    """Raise Problem unless it is JSON in UTF-8, said once: a browser sends that to no foreign place without asking first."""
    if len(values) != 1 or not _JSON.fullmatch(values[0].strip()):
        raise _unsupported("unsupported_media_type", "Content-Type", "The body must be application/json in UTF-8.")


def refuse_encoding(values: Sequence[str]) -> None:
    """Raise Problem for a body that is compressed: a short one could become very long."""
    if any(value.strip().lower() not in ("", "identity") for value in values):
        raise _unsupported("unsupported_content_encoding", "Content-Encoding", "The body must not be compressed.")


def _unsupported(code: str, header: str, detail: str) -> Problem:
    accepted = {"Accept-Encoding": "identity"} if header == "Content-Encoding" else {"Accept-Post": "application/json"}
    return Problem(code, detail, (Fault(code=code, detail=detail, header=header),), accepted)


def _too_large(max_bytes: int) -> Problem:
    return Problem("body_too_large", f"The body is longer than {max_bytes} bytes.")
