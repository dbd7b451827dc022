"""Sign in, sign out, set a password by a one-time link."""

from collections.abc import Mapping

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api import templates
from api.auth import (
    FORM_COOKIE,
    FORM_S,
    SESSION_COOKIE,
    SESSION_S,
    Wait,
    Wrong,
    local_path,
    password_mistake,
    set_cookie,
)
from api.limits import SECOND_US
from api.views.signin import SignInView
from api.web import Refused, Web, fields, require_meant

STALE_FORM = "แบบฟอร์มหมดอายุ โปรดลองอีกครั้ง · the form has expired, please try again"
WRONG = "ชื่อบัญชีหรือรหัสผ่านไม่ถูกต้อง · wrong account or password"
USED_LINK = "ลิงก์นี้ใช้แล้วหรือหมดอายุ ขอลิงก์ใหม่จากผู้ดูแลระบบ · this link was used or has expired"


def router(web: Web) -> APIRouter:
    """`/signin`, `/signout` and `/invite/{token}`."""
    api = APIRouter(include_in_schema=False)
    accounts = web.deps.accounts

    async def form(
        request: Request, template: str, *, error: str, status: int, action: str, account: str = "", next: str = ""
    ) -> Response:
        cookie = request.cookies.get(FORM_COOKIE, "") or web.forms.new()
        view = SignInView(
            world=await web.world(),
            csrf=web.forms.sign(cookie),
            error=error,
            account=account,
            action=action,
            next=next,
        )
        response = HTMLResponse(web.deps.pages.render(template, view=view), status)
        set_cookie(response, FORM_COOKIE, cookie, max_age_s=FORM_S, secure=web.secure)
        # The address of a one-time link is a secret; no other page may be told where one came from.
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def is_ours(request: Request, given: Mapping[str, str]) -> bool:
        return web.forms.fits(request.cookies.get(FORM_COOKIE, ""), given.get("csrf", ""))

    async def begin(session: str, where: str) -> Response:
        response = RedirectResponse(where, 303)
        set_cookie(response, SESSION_COOKIE, session, max_age_s=SESSION_S, secure=web.secure)
        set_cookie(response, FORM_COOKIE, "", max_age_s=0, secure=web.secure)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    async def sign_in_form(request: Request, *, next: str, error: str = "", status: int = 200) -> Response:
        return await form(
            request, templates.SIGN_IN, error=error, status=status, action="/signin", next=local_path(next)
        )

    @api.get("/signin")
    async def show(request: Request, next: str = "") -> Response:
        return await sign_in_form(request, next=next)

    @api.post("/signin")
    async def sign_in(request: Request) -> Response:
        given = await fields(request)
        target = given.get("next", "")
        if not is_ours(request, given):
            return await sign_in_form(request, next=target, error=STALE_FORM, status=403)
        answer = await web.sign_in.open(
            given.get("name", ""),
            given.get("password", ""),
            address=request.client.host if request.client else "",
            real_us=web.deps.real_us(),
        )
        if isinstance(answer, Wait):
            minutes = -(-answer.seconds // 60)
            text = f"ลองผิดหลายครั้ง รออีก {minutes} นาที · too many tries, wait {minutes} min"
            response = await sign_in_form(request, next=target, error=text, status=429)
            response.headers["Retry-After"] = str(answer.seconds)
            return response
        if isinstance(answer, Wrong):
            return await sign_in_form(request, next=target, error=WRONG, status=401)
        return await begin(answer, local_path(target))

    @api.post("/signout")
    async def sign_out(request: Request) -> Response:
        await require_meant(web, request)
        await anyio.to_thread.run_sync(accounts.close_session, web.session(request))
        response = RedirectResponse("/", 303)
        set_cookie(response, SESSION_COOKIE, "", max_age_s=0, secure=web.secure)
        return response

    @api.get("/invite/{token}")
    async def show_invite(request: Request, token: str) -> Response:
        now_us = web.deps.real_us()
        actor = await anyio.to_thread.run_sync(lambda: accounts.invited(token, now_us=now_us))
        if actor is None:
            raise Refused(404, "not_found", USED_LINK)
        return await form(
            request, templates.INVITE, error="", status=200, action=f"/invite/{token}", account=actor.account
        )

    @api.post("/invite/{token}")
    async def redeem(request: Request, token: str) -> Response:
        given, now_us = await fields(request), web.deps.real_us()
        actor = await anyio.to_thread.run_sync(lambda: accounts.invited(token, now_us=now_us))
        mistake, status = "", 422
        if not is_ours(request, given):
            mistake, status = STALE_FORM, 403
        elif actor is None:
            raise Refused(404, "not_found", USED_LINK)
        else:
            mistake = password_mistake(given.get("password", ""))
        if mistake:
            account = actor.account if actor else ""
            return await form(
                request, templates.INVITE, error=mistake, status=status, action=f"/invite/{token}", account=account
            )
        stored = await web.passwords.hash(given["password"])

        def use() -> str | None:
            owner = accounts.redeem(token, password_hash=stored, now_us=now_us)
            if owner is None:
                return None
            return accounts.open_session(owner.account, now_us=now_us, expires_us=now_us + SESSION_S * SECOND_US)

        session = await anyio.to_thread.run_sync(use)
        if session is None:
            raise Refused(404, "not_found", USED_LINK)
        return await begin(session, "/console")

    return api
