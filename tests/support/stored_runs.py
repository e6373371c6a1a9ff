"""Single finished runs with figures of the test's choice, as the run service would have stored them."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from core import ids
from core.contract import utc_now
from core.errors import ErrorCode
from core.pricing.lambda_rates import compute_nanousd
from core.services.application import Application
from core.services.principal import LOCAL
from core.settings import ensure_data_dir, load_settings
from core.storage.records import AgentRecord, AttemptRecord, Backend, NewRun, RunStatus, Trigger
from tests.support.sqlite_files import put_schema


@contextmanager
def opened_application() -> Generator[Application]:
    """An installation in the test's own data directory, without a server and without housekeeping."""
    settings = load_settings()
    ensure_data_dir(settings)
    put_schema(settings.database_url)
    application = Application.open(settings, kind="test")
    try:
        yield application
    finally:
        application.close()


def store_run(
    application: Application,
    *,
    at: datetime,
    provider: str = "OPENAI",
    model: str = "gpt-5.4-mini",
    agent: AgentRecord | None = None,
    status: RunStatus = RunStatus.SUCCEEDED,
    error: ErrorCode | None = None,
    seconds: float = 1.0,
    input_tokens: int | None = 100,
    output_tokens: int | None = 50,
    cost_nanousd: int | None = 1_000_000,
    prompt: str = "Say hello.",
    **on_lambda: Any,
) -> UUID:
    """Stores a run that ended at `at`; its cost is a quarter input, three quarters output, or unknown.

    `on_lambda` are more fields of its attempt, such as those of `executed_on_lambda`.
    """
    backend = on_lambda.get("backend", Backend.LOCAL)
    began = at - timedelta(seconds=seconds)
    run_id = ids.uuid7(at=began)
    application.store.runs.start(
        NewRun(
            id=run_id,
            project_id=LOCAL.project_id,
            principal_id=LOCAL.id,
            worker_id=ids.uuid7(),
            created_at=began,
            trigger=Trigger.PLAYGROUND,
            provider=provider,
            model=model,
            backend=backend,
            request={"provider": provider, "model_name": model, "prompt": prompt},
            agent_id=agent.id if agent else None,
            agent_version_id=agent.version.id if agent else None,
            agent_name=agent.name if agent else None,
        )
    )
    attempt = AttemptRecord(
        id=ids.uuid7(at=began),
        run_id=run_id,
        ordinal=1,
        status=status,
        started_at=began,
        finished_at=at,
        final=True,
        latency_us=round(seconds * 1e6),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        tokens_cost_nanousd=cost_nanousd,
        input_cost_nanousd=None if cost_nanousd is None else cost_nanousd // 4,
        output_cost_nanousd=None if cost_nanousd is None else cost_nanousd - cost_nanousd // 4,
        error_code=error.value if error else None,
        error_message=f"It ended with {error.value}." if error else None,
        **{"backend": backend, **on_lambda},
    )
    application.store.runs.finish(
        run_id,
        status=status,
        finished_at=at,
        attempts=[attempt],
        response=None if error else "Hello.",
        error_code=attempt.error_code,
        error_message=attempt.error_message,
    )
    return run_id


def executed_on_lambda(
    *,
    billed_ms: int = 1_040,
    memory_mb: int = 1024,
    max_memory_mb: int = 142,
    cold: bool = False,
    architecture: str = "x86_64",
    region: str = "eu-central-1",
) -> dict[str, Any]:
    """The fields of an attempt of a second or so that ran on AWS Lambda, with its cost, for `store_run`."""
    init_us = 640_000 if cold else None
    whole_ms = billed_ms + (640 if cold else 0)
    return {
        "backend": Backend.LAMBDA,
        "model_time_us": 960_000,
        "lambda_request_id": str(uuid4()),
        "lambda_region": region,
        "lambda_architecture": architecture,
        "lambda_memory_mb": memory_mb,
        "lambda_max_memory_mb": max_memory_mb,
        "lambda_cold_start": cold,
        "lambda_duration_us": billed_ms * 1_000 - 400,
        "lambda_init_us": init_us,
        "lambda_billed_ms": whole_ms,
        "lambda_compute_nanousd": compute_nanousd(
            billed_ms=whole_ms, memory_mb=memory_mb, region=region, architecture=architecture
        ),
        "lambda_request_nanousd": 200,
        "lambda_price_source": "aws.amazon.com/lambda/pricing, 2026-11-22",
    }


def start_lost_run(application: Application) -> UUID:
    """Stores a run as RUNNING, of a process that gives no sign of life."""
    run_id = ids.uuid7()
    application.store.runs.start(
        NewRun(
            id=run_id,
            project_id=LOCAL.project_id,
            principal_id=LOCAL.id,
            worker_id=ids.uuid7(),
            created_at=utc_now(),
            trigger=Trigger.CLI,
            provider="DEMO",
            model="demo-echo",
            backend=Backend.LOCAL,
            request={"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello"},
        )
    )
    return run_id
