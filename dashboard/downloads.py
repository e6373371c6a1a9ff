"""Files that the browser fetches by itself, in constant memory: finished exports.

Streamlit's own download button keeps the whole file in memory for as long as the page is open.
"""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from core.errors import NotFound
from core.services.export import ExportFormat
from core.services.export_jobs import ExportState
from dashboard import backend
from dashboard.routes import export_url

_MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSONL: "application/x-ndjson; charset=utf-8",
}


async def _export(request: Request) -> Response:
    try:
        job = backend.application().exports.get(backend.principal(), UUID(request.path_params["job_id"]))
    except (NotFound, ValueError):
        return PlainTextResponse(
            "This export is gone: files are kept for an hour. Export again.", status_code=404
        )
    if job.state is not ExportState.READY or not job.path.exists():
        return PlainTextResponse("This export is not ready, or is gone. Export again.", status_code=404)
    # Never shown in the page's own origin, whatever an answer holds.
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return FileResponse(
        job.path,
        filename=job.file_name,
        media_type=_MEDIA_TYPES[job.form],
        content_disposition_type="attachment",
        headers=headers,
    )


routes = [Route(export_url("{job_id}"), _export)]
