"""The logs behind the page and the command: the function's in CloudWatch, and this installation's own."""

import os
from collections.abc import Generator
from typing import assert_never

from core.errors import ExecutionError, InvalidInput, LogsUnavailable
from core.execution.aws_lambda import LambdaExecutor, LambdaTarget
from core.execution.lambda_errors import NotLambda
from core.interruption import Limits
from core.services.cloudwatch_logs import ENDPOINT_VARIABLE, CloudWatchLogs, LogGroup, account_of
from core.services.local_logs import LocalLogs
from core.services.log_lines import FOLLOW_SECONDS, LogLine, LogOrigin, LogPage, LogQuery, LogSource, follow
from core.services.principal import Principal
from core.settings import Settings

READ_SECONDS = 20.0
"""How long one reading may take."""


class LogService:
    """See the module; shared by threads.

    Args:
        settings: Where the logs are.
        follow_seconds: Between two looks at a log that is followed.
    """

    def __init__(self, settings: Settings, *, follow_seconds: float = FOLLOW_SECONDS) -> None:
        self._follow_seconds = follow_seconds
        self._local = LocalLogs(settings.log_file)
        self._executor: LambdaExecutor | None = None
        self._lambda: CloudWatchLogs | None = None
        if settings.lambda_agent_function_name is not None:
            self._executor = LambdaExecutor(
                LambdaTarget(
                    function=settings.lambda_agent_function_name,
                    region=settings.aws_lambda_region,
                    endpoint_url=settings.aws_endpoint_url_lambda,
                )
            )
            self._lambda = CloudWatchLogs(self._group)

    def origins(self, principal: Principal) -> list[LogOrigin]:
        """The logs that there are here; the first is the one to show."""
        del principal
        return [LogOrigin.LOCAL] if self._lambda is None else [LogOrigin.LAMBDA, LogOrigin.LOCAL]

    def read(
        self, principal: Principal, origin: LogOrigin, query: LogQuery, limits: Limits | None = None
    ) -> LogPage:
        """The lines that are there now.

        Raises:
            InvalidInput: No function is named.
            LogsUnavailable: The log cannot be read; the text names the remedy, `statement` a permission to add.
            Cancelled, DeadlineExceeded: As `limits` says; 20 s without any.
        """
        del principal
        return self._source(origin).read(query, limits or Limits(timeout_seconds=READ_SECONDS))

    def follow(
        self, principal: Principal, origin: LogOrigin, query: LogQuery, limits: Limits
    ) -> Generator[LogLine]:
        """The lines that are there, and then each that comes, until `limits` end it. Raises as `read`."""
        del principal
        return follow(self._source(origin), query, limits, pause_seconds=self._follow_seconds)

    def close(self) -> None:
        """Closes the unused connections."""
        if self._executor is not None:
            self._executor.close()
        if self._lambda is not None:
            self._lambda.close()

    def _source(self, origin: LogOrigin) -> LogSource:
        match origin:
            case LogOrigin.LOCAL:
                return self._local
            case LogOrigin.LAMBDA:
                if self._lambda is None:
                    raise InvalidInput(
                        "No function is named, so that there is no log of one. Set LAMBDA_AGENT_FUNCTION_NAME (and "
                        "AWS_LAMBDA_REGION), or look at the local log."
                    )
                return self._lambda
            case _:
                assert_never(origin)

    def _group(self, limits: Limits) -> LogGroup:
        assert self._executor is not None
        function, region = self._executor.target.function, self._executor.region
        account = account_of(function)
        name = f"/aws/lambda/{function.split(':function:')[-1].split(':')[0]}"
        endpoint = self._executor.target.endpoint_url
        try:
            facts = self._executor.function(Limits(timeout_seconds=5.0, cancel=limits.cancel))
        except NotLambda as exc:
            if endpoint is None or os.environ.get(ENDPOINT_VARIABLE, "").strip():
                return LogGroup(name=name, region=region, account=account)
            raise LogsUnavailable(
                f"The function runs in the runtime emulator at {endpoint}: its log is in the terminal that started it, "
                "and not in CloudWatch. For this installation's own log choose the local one (`agent-launcher logs "
                "--from local`)."
            ) from exc
        except ExecutionError:
            return LogGroup(name=name, region=region, account=account)  # where Lambda writes by itself
        return LogGroup(name=facts.log_group or name, region=region, account=account or facts.account)
