"""What was predicted, looked up and walked back."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from include.pages.site import named, render

KEY = "key."  # what the fields of the entity's key begin with

router = APIRouter()


@router.get("/{use_case}/predictions", response_class=HTMLResponse)
def predictions(request: Request, use_case: str, request_id: str = "", first: str = "", last: str = "") -> HTMLResponse:
    from include.pages.predictions import look_up

    folder, _ = named(request, use_case)
    config = folder.config
    entity = {name: request.query_params.get(f"{KEY}{name}", "") for name in config.entity.key}
    page = look_up(folder, request_id, entity, first, last)
    return render(
        request,
        "predictions",
        400 if page.problem else 200,
        page=page,
        request_id=request_id,
        entity=entity,
        key=KEY,
        case=config,
        tab="predictions",
        heading="Predictions",
    )
