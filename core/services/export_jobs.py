"""Exports that a page starts and a browser fetches: written to a file of the data directory in a thread.

A file on disk, because the browser's own download takes it from there in constant memory, however many runs
it holds, and because its progress and its failure can be shown before a half file lies in somebody's
downloads.
"""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from uuid import UUID

from core import ids, private_files
from core.contract import utc_now
from core.errors import NotFound, StoreError
from core.loggers import get_logger
from core.services.export import ExportFormat, export_runs
from core.services.principal import Principal
from core.services.runs import RunService
from core.storage.records import RunFilter

log = get_logger("agent_launcher.export")

KEEP_SECONDS: Final = 3_600.0
"""Files are removed an hour after they were begun, or at the next start."""


class ExportState(StrEnum):
    """The life of an export; all but WORKING are final."""

    WORKING = "working"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


class _Cancelled(Exception):
    """Somebody stopped the export."""


@dataclass(kw_only=True)
class ExportJob:
    """One export. Written by its thread, read by any.

    Attributes:
        total: How many runs there were when it began; None until they are counted.
        written: How many are in the file.
        error: Why it failed, and the remedy; safe to show.
    """

    id: UUID
    project_id: str
    form: ExportFormat
    path: Path
    file_name: str
    total: int | None = None
    written: int = 0
    size_bytes: int = 0
    state: ExportState = ExportState.WORKING
    error: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)
    thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(1.0, self.written / self.total) if self.total else 0.0


class ExportService:
    """See the module. One per process; makes its folder on the first export."""

    def __init__(self, runs: RunService, folder: Path) -> None:
        self._runs = runs
        self._folder = folder
        self._jobs: dict[UUID, ExportJob] = {}
        self._lock = threading.Lock()
        self._remove_old()

    def start(self, principal: Principal, run_filter: RunFilter, *, form: ExportFormat) -> ExportJob:
        """Begins an export and returns at once; what goes wrong is in the job."""
        self._remove_old()
        job_id = ids.uuid7()
        job = ExportJob(
            id=job_id,
            project_id=principal.project_id,
            form=form,
            path=self._folder / f"{job_id}.{form.value}",
            file_name=f"runs-{utc_now():%Y%m%d-%H%M%S}.{form.value}",
        )
        job.thread = threading.Thread(
            target=self._work, args=(job, principal, run_filter), name="export", daemon=True
        )
        with self._lock:
            self._jobs[job.id] = job
        job.thread.start()
        return job

    def get(self, principal: Principal, job_id: UUID) -> ExportJob:
        """Raises NotFound: no such export, or it was removed after its hour."""
        job = self._jobs.get(job_id)
        if job is None or job.project_id != principal.project_id:
            raise NotFound("This export is gone: files are kept for an hour. Export again.")
        return job

    def cancel(self, principal: Principal, job_id: UUID) -> None:
        """Stops it and removes its file. Raises NotFound."""
        self.get(principal, job_id).cancelled.set()

    def close(self) -> None:
        """Stops what is under way and removes all files of this process."""
        with self._lock:
            jobs = list(self._jobs.values())
            self._jobs.clear()
        for job in jobs:
            job.cancelled.set()
        for job in jobs:
            if job.thread is not None:
                job.thread.join(timeout=5)
            _remove(job.path)

    def _work(self, job: ExportJob, principal: Principal, run_filter: RunFilter) -> None:
        try:
            job.total = self._runs.count(principal, run_filter)
            self._write(job, principal, run_filter)
            job.state = ExportState.READY
        except _Cancelled:
            job.state = ExportState.CANCELLED
        except StoreError as exc:
            job.error, job.state = str(exc), ExportState.FAILED
        except OSError as exc:
            job.error = (
                f"The file could not be written to the data directory: {exc.strerror}. "
                "Free some space or mend its permissions, and export again."
            )
            job.state = ExportState.FAILED
        except Exception:
            log.exception("export %s failed", job.id)
            job.error, job.state = "A fault of this program; the log says more.", ExportState.FAILED
        if job.state is not ExportState.READY:
            _remove(job.path)
            return
        # Whether or not there is ever another export: the file holds prompts and answers.
        removal = threading.Timer(KEEP_SECONDS + 1, self._remove_old)
        removal.daemon = True
        removal.start()

    def _write(self, job: ExportJob, principal: Principal, run_filter: RunFilter) -> None:
        def note(written: int) -> None:
            job.written = written

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(job.path, "xb", opener=private_files.opener) as file:
            for piece in export_runs(self._runs, principal, run_filter, form=job.form, on_progress=note):
                if job.cancelled.is_set():
                    raise _Cancelled
                file.write(piece)
                job.size_bytes += len(piece)

    def _remove_old(self) -> None:
        oldest = time.time() - KEEP_SECONDS
        with self._lock:
            for job in list(self._jobs.values()):
                if job.state is not ExportState.WORKING and not _newer_than(job.path, oldest):
                    del self._jobs[job.id]
        with contextlib.suppress(OSError):
            # Also those that a process which is gone has left.
            for path in self._folder.iterdir():
                if not _newer_than(path, oldest):
                    _remove(path)


def _newer_than(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime >= moment
    except OSError:
        return False


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        log.warning("an exported file could not be removed: %s", exc)
