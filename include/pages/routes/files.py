"""Files as they are: style and script, and what the stages have written."""

from __future__ import annotations

import re

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse

from include.ingestion import data_docs
from include.monitoring import evidently_report, observation
from include.pages import data
from include.pages.site import HERE, POLICY, STATIC, named, stored
from include.settings import get_settings

EVIDENCE = re.compile(r"[0-9a-f]{16}\.(?P<kind>json|svg)")
EVIDENCE_TYPES = {"json": "application/json", "svg": "image/svg+xml"}
FOR_EVER = POLICY | {"Cache-Control": "private, max-age=31536000, immutable"}  # their address changes with them
# Evidently draws with scripts. They are of no origin here: without cookies, without an address, alone with their page.
DRAWING = {
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
}

router = APIRouter()


@router.get("/static/{name}")
def static(name: str) -> FileResponse:
    if name not in STATIC:
        raise HTTPException(404, f"{name!r} is no file of these pages")
    return FileResponse(HERE / "static" / name, media_type=STATIC[name], headers=FOR_EVER)


@router.get("/{use_case}/reports/{partition}", response_class=HTMLResponse)
def report(request: Request, use_case: str, partition: str) -> FileResponse:
    folder, key = named(request, use_case, partition)
    return stored(observation.report_file(folder.config.name, key), f"{use_case} has no report of {key}")


@router.get("/{use_case}/reports/{partition}/evidently", response_class=HTMLResponse)
def evidently(request: Request, use_case: str, partition: str) -> FileResponse:
    """Evidently's report, where ``monitoring.evidently`` is on."""
    folder, key = named(request, use_case, partition)
    page = stored(evidently_report.file(folder.config.name, key), f"{use_case} has no report of Evidently of {key}")
    page.headers.update(DRAWING)
    return page


@router.get("/{use_case}/cards/{version}", response_class=HTMLResponse)
def card(request: Request, use_case: str, version: int) -> FileResponse:
    """The model card of a version."""
    name = named(request, use_case)[0].config.name
    return stored(get_settings().card(name, version), f"{name} has no card of version {version}")


@router.get("/{use_case}/evidence/{name}")
def evidence(request: Request, use_case: str, name: str) -> FileResponse:
    """What a decision was made on, as JSON, and its picture."""
    folder = named(request, use_case)[0].config.name
    match = EVIDENCE.fullmatch(name)
    if match is None:
        raise HTTPException(404, f"{name!r} is no evidence")
    file = get_settings().evidence / folder / name
    return stored(file, f"{use_case} has no evidence {name}", EVIDENCE_TYPES[match["kind"]])


@router.get("/{use_case}/data/{partition}/docs/{table}", response_class=HTMLResponse)
def docs(request: Request, use_case: str, partition: str, table: str) -> FileResponse:
    folder, key = named(request, use_case, partition)
    tables = shown.docs if (shown := data.detail(folder, key)) else ()
    if table not in tables:
        raise HTTPException(404, f"{use_case} has no Data Docs of {table!r} in {key}")
    return stored(data_docs.page(folder.config.name, key, table), f"{use_case} has no Data Docs of {key}")
