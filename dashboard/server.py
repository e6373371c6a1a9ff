"""The ASGI app: Streamlit's pages, and the embedded housekeeping for as long as it runs."""

import logging
import os
import threading
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from streamlit import config as streamlit_config
from streamlit.logger import set_log_level

from core.errors import StoreError
from core.services.application import Application
from core.services.seeding import seed_demo_agents
from core.services.warming import warm
from core.storage.store import Store
from dashboard import backend, downloads
from dashboard.components.failure import show_failure
from dashboard.origins import OwnOriginOnly
from dashboard.preloading import PreloadCharts

ROOT = Path(__file__).parents[1]


def create_app(application: Application, *, stand_by: bool = False) -> st.App:
    """The dashboard over an open application; closes it when the server stops.

    Args:
        application: What the pages ask.
        stand_by: Whether this process folds roll-ups and settles orphaned runs only while no `agent-launcher up`
            does.
    """
    apply_streamlit_config()
    logging.getLogger("streamlit.error_util").addFilter(_is_not_logged_by_us)
    os.environ.setdefault("STREAMLIT_SERVER_HEADLESS", "true")

    @asynccontextmanager
    async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any]]:
        del app
        backend.install(application)
        seed_demo_agents(application)
        application.housekeeping.start(stand_by=stand_by)
        threading.Thread(target=warm, args=(application,), name="warming", daemon=True).start()
        try:
            yield {}
        finally:
            backend.install(None)
            application.close()

    # Not a coroutine: the database may be slow, and Starlette gives a plain function a thread of its own.
    def healthz(request: Request) -> JSONResponse:
        del request
        return health_of(application.store)

    return st.App(
        ROOT / "dashboard" / "app.py",
        lifespan=lifespan,
        routes=[Route("/healthz", healthz), *downloads.routes],
        middleware=[Middleware(OwnOriginOnly), Middleware(PreloadCharts)],
        on_script_error=show_failure,
    )


def health_of(store: Store) -> JSONResponse:
    """What a probe gets, which may come every second: whether the database can be read, by one cheap read."""
    try:
        store.check_readable()
    except StoreError as exc:
        # Not its text, which names paths: the log and `agent-launcher doctor` have that.
        return JSONResponse({"status": "failing", "database": type(exc).__name__}, status_code=503)
    return JSONResponse({"status": "ok"})


def _is_not_logged_by_us(record: logging.LogRecord) -> bool:
    """Streamlit prints the trace of every exception of a page; `show_failure` logs it under its error id."""
    return record.msg != "Uncaught app execution"


def apply_streamlit_config() -> None:
    """Uses the project's `.streamlit/config.toml` from any working directory.

    Streamlit itself looks only in the home and the working directory. A value that the operator set there, or
    by a STREAMLIT_* variable, stays.
    """
    path = ROOT / ".streamlit" / "config.toml"
    if path.exists() and path.parent.parent != Path.cwd():
        for section, values in tomllib.loads(path.read_text()).items():
            _apply(section, values)
    # It looks at its level only when it reads a file of its own; uvicorn's loggers follow Streamlit's.
    set_log_level(streamlit_config.get_option("logger.level"))


def _apply(prefix: str, values: dict[str, Any]) -> None:
    for key, value in values.items():
        name = f"{prefix}.{key}"
        if isinstance(value, dict):
            _apply(name, value)
        elif not streamlit_config.is_manually_set(name):
            streamlit_config.set_option(name, value)
