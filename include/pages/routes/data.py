"""What came in, and the features that were made of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from include.ingestion import versions
from include.pages import data, features
from include.pages.actions import ACTIONS
from include.pages.site import named, render

router = APIRouter()


@router.get("/{use_case}/features", response_class=HTMLResponse)
def catalogued(request: Request, use_case: str) -> HTMLResponse:
    folder, _ = named(request, use_case)
    values: dict[str, Any] = {"case": folder.config, "tab": "features", "heading": "Features"}
    return render(request, "features", page=features.page(folder), **values)


@router.get("/{use_case}/data", response_class=HTMLResponse)
def days(request: Request, use_case: str) -> HTMLResponse:
    folder, _ = named(request, use_case)
    values: dict[str, Any] = {"case": folder.config, "tab": "data", "heading": "Data"}
    return render(request, "days", days=data.days(folder), revision=versions.head_or_none(), actions=ACTIONS, **values)


@router.get("/{use_case}/data/{partition}", response_class=HTMLResponse)
def day(request: Request, use_case: str, partition: str) -> HTMLResponse:
    folder, key = named(request, use_case, partition)
    shown = data.detail(folder, key)
    if shown is None:
        raise HTTPException(404, f"{use_case} has ingested no partition {key}")
    return render(request, "day", shown=shown, actions=ACTIONS, case=folder.config, tab="data", heading=key)
