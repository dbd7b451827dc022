"""Who comes to a page of the officers: off to the sign-in form, or in; a whole page, or the part that changed."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response


def is_fragment(request: Request) -> bool:
    """Whether a page that is open asks for the part that changes."""
    return bool(request.headers.get("HX-Request"))


def to_sign_in(request: Request) -> Response:
    """Off to the sign-in form and back; a fragment asks its page to go, instead of putting the form into itself."""
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if is_fragment(request):
        return Response(status_code=401, headers={"HX-Redirect": "/signin?next=/console"})
    return RedirectResponse(f"/signin?next={quote(where, safe='/')}", 303)
