"""Only these pages may send their forms: a request that another site makes a browser send is refused.

Airflow's cookie is ``SameSite=Lax``, which keeps it from the posts of other sites, but not from those of another port
of the same host. So the browser's own word on where a request comes from is asked for (OWASP, "Cross-Site Request
Forgery Prevention": Fetch Metadata, with the origin as fallback).
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from fastapi import HTTPException, Request

LARGEST = 2**16  # bytes of a form
FIELDS = 40


def require(request: Request) -> None:
    """403 unless the request comes from these pages, or from a client that is no browser and brings its own token."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        own = site == "same-origin"
    elif origin is not None:
        own = urlsplit(origin).netloc == request.headers.get("Host")
    else:
        own = request.headers.get("Authorization", "").lower().startswith("bearer ")
    if not own:
        raise HTTPException(403, "this form was sent from elsewhere: open it in the Models page and send it from there")


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that these pages have sent; 415 and 413 for anything else."""
    require(request)
    if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "expected a form (application/x-www-form-urlencoded)")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST:
            raise HTTPException(413, f"a form has at most {LARGEST} bytes")
    try:
        return dict(parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError as error:
        raise HTTPException(400, f"this is no form: {error}") from error
