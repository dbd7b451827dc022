"""Refusals in words: JSON for programs, a page for people."""

import logging
from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from api import templates
from api.security import protect
from api.web import Refused, Web
from sensors.store import TooSlow

log = logging.getLogger(__name__)

JSON_PATHS = ("/api/", "/healthz", "/readyz", "/metrics", "/map.geojson", "/static/")

# status -> (Thai, English)
_WORDS = {
    400: ("คำขอไม่ถูกต้อง", "The request cannot be read"),
    401: ("ต้องเข้าสู่ระบบก่อน", "Sign in first"),
    403: ("ไม่ได้รับอนุญาต", "Not allowed"),
    404: ("ไม่พบหน้านี้", "There is nothing here"),
    405: ("ทำแบบนี้กับหน้านี้ไม่ได้", "This page cannot do that"),
    413: ("ข้อมูลที่ส่งมาใหญ่เกินไป", "Too much was sent"),
    422: ("ค่าที่ส่งมาไม่ถูกต้อง", "A value is not valid"),
    503: ("ระบบยังไม่พร้อม", "Not ready"),
    500: ("ระบบขัดข้อง", "Something broke"),
}
IF_WATER_RISES = "ถ้าเห็นน้ำขึ้น ให้ออกก่อน อย่ารอหน้านี้ · if you see water rising, leave; do not wait for this page"


def words(status: int) -> str:
    """`ไม่พบหน้านี้ · There is no such page`"""
    return " · ".join(_WORDS.get(status, _WORDS[500]))


def install(app: FastAPI, web: Web) -> None:
    """Answer every failure of the app."""

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        return _answer(web, request, status, f"http_{status}", words(status), dict(error.headers or {}))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return _answer(web, request, error.status, error.code, error.text)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _answer(web, request, 422, "invalid", validation_words(error.errors()))

    async def too_slow(request: Request, error: Exception) -> Response:
        return _answer(web, request, 503, "too_slow", f"{words(503)} · {error}")

    async def broken(request: Request, error: Exception) -> Response:
        # Starlette logs the traceback after this answer; what failed reading must not be asked again for a page.
        log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
        response: Response = JSONResponse({"detail": words(500), "code": "broken"}, 500)
        if not _wants_json(request):
            response = HTMLResponse(
                f"<!doctype html><meta charset='utf-8'><title>500</title><h1>{words(500)}</h1>", 500
            )
        # This answer is written outside the middleware that seals all others.
        protect(response.headers, request.scope, 500)
        return response

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(TooSlow, too_slow)
    app.add_exception_handler(Exception, broken)


def validation_words(errors: Sequence[dict[str, object]]) -> str:
    """`limit: 'abc' · Input should be a valid integer`, one sentence per mistake, at most five."""
    sentences = []
    for error in errors[:5]:
        loc = error.get("loc")
        where = ".".join(str(part) for part in loc[1:]) if isinstance(loc, tuple) else ""
        given = repr(error.get("input"))[:80]
        sentences.append(f"{where or 'request'}: {given} · {error.get('msg')}")
    return "; ".join(sentences)


def _wants_json(request: Request) -> bool:
    return request.url.path.startswith(JSON_PATHS)


def _answer(
    web: Web, request: Request, status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    if _wants_json(request):
        return JSONResponse({"detail": detail, "code": code}, status, headers)
    html = web.deps.pages.render(templates.ERROR, status=status, title=detail, detail="", next_step=IF_WATER_RISES)
    return HTMLResponse(html, status, headers)
