"""Puts the Models page into Airflow's navigation, behind Airflow's own login and permissions."""

from collections.abc import Awaitable, Callable
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.orchestration import address
from include.pages import MOUNT

Message = dict[str, Any]


class ModelsPage:
    """An ASGI application that is built when it is first asked: every Airflow process imports this file."""

    def __init__(self) -> None:
        self.app: Callable[..., Awaitable[None]] | None = None

    async def __call__(self, scope: Message, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        from include.pages.airflow import MOUNTED_IN

        if self.app is None:
            self.app = build()
        scope[MOUNTED_IN] = scope["app"]  # Airflow, before the pages take its place in the scope
        await self.app(scope, receive, send)


def build() -> Callable[..., Awaitable[None]]:
    """The pages, which Airflow's login and permissions stand before."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user, requires_access_view
    from airflow.models.dag import DagModel
    from fastapi import Depends, Request

    from include.pages.app import create_app

    def permitted(request: Request, user: Any = Depends(get_user)) -> None:  # noqa: B008 - FastAPI's way to ask
        """Leave with the request what its user may see and start."""

        def may(method: str, dag_id: str) -> bool:
            details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
            entity = DagAccessEntity.RUN
            return bool(
                get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)
            )

        request.state.may = may

    return create_app([Depends(requires_access_view(AccessView.PLUGINS)), Depends(permitted)])


class EvergreenPlugin(AirflowPlugin):
    name = "evergreen"
    fastapi_apps = [{"app": ModelsPage(), "url_prefix": MOUNT, "name": "Models page"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Models",
            "href": f"{address.pages()}/",
            "destination": "nav",
            "url_route": address.ROUTE,
            "category": None,
        }
    ]
