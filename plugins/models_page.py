"""Puts the Models page into Airflow's navigation, behind Airflow's own login and permissions."""

from collections.abc import Awaitable, Callable
from typing import Any

from airflow.plugins_manager import AirflowPlugin

Message = dict[str, Any]


class ModelsPage:
    """An ASGI application that is built when it is first asked: every Airflow process imports this file."""

    def __init__(self) -> None:
        self.app: Callable[..., Awaitable[None]] | None = None

    async def __call__(self, scope: Message, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if self.app is None:
            from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
            from airflow.api_fastapi.core_api.security import requires_access_view
            from fastapi import Depends

            from include.pages.app import create_app

            self.app = create_app([Depends(requires_access_view(AccessView.PLUGINS))])
        await self.app(scope, receive, send)


class EvergreenPlugin(AirflowPlugin):
    name = "evergreen"
    fastapi_apps = [{"app": ModelsPage(), "url_prefix": "/evergreen", "name": "Models page"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {"name": "Models", "href": "/evergreen/", "destination": "nav", "url_route": "models", "category": None}
    ]
