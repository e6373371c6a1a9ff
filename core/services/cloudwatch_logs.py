"""The function's log in Amazon CloudWatch, read with `FilterLogEvents`, which AWS does not bill."""

import json
import os
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from core.aws_regions import partition_of
from core.errors import ConfigurationError, ExecutionError, InvocationError, LogsUnavailable
from core.execution.lambda_refusal import BAD_CREDENTIALS, EXPIRED
from core.interruption import Limits
from core.providers.botocore_adapter import Aws, Purpose, Target
from core.services.log_lines import LogLine, LogOrigin, LogPage, LogQuery, read_line

MAX_PAGES: Final = 50
"""Requests for one reading; each brings up to 10,000 lines or 1 MB, and AWS lets an account make a few a second."""
ENDPOINT_VARIABLE: Final = "AWS_ENDPOINT_URL_LOGS"

_PURPOSE: Final = Purpose(
    "Amazon CloudWatch Logs",
    "AWS_LAMBDA_REGION",
    "This installation's own log needs none.",
    address=f"AWS_LAMBDA_REGION and {ENDPOINT_VARIABLE}",
)
_ACCOUNT_IN_ARN: Final = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:(\d{12}):")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    """Where a function's log is.

    Attributes:
        name: Such as /aws/lambda/agent.
        region: Such as us-east-1.
        account: The account's id, for the permission's statement; None if it is not known.
    """

    name: str
    region: str
    account: str | None = None

    @property
    def statement(self) -> str:
        """The IAM statement that allows reading it, as JSON to paste."""
        where = f"arn:{partition_of(self.region)}:logs:{self.region}:{self.account or '*'}"
        resource = f"{where}:log-group:{self.name}:*"
        return json.dumps(
            {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": resource}, indent=2
        )


def account_of(function: str) -> str | None:
    """The account in a function's ARN; None in a plain name."""
    found = _ACCOUNT_IN_ARN.match(function)
    return None if found is None else found[1]


class CloudWatchLogs:
    """See the module; a `LogSource`.

    Args:
        find_group: Says where the log is, when it is first read. May raise ExecutionError.
    """

    def __init__(self, find_group: Callable[[Limits], LogGroup]) -> None:
        self._find_group = find_group
        self._group: LogGroup | None = None
        self._aws = Aws(_PURPOSE)

    def read(self, query: LogQuery, limits: Limits) -> LogPage:
        """See `LogSource.read`."""
        try:
            group = self._group = self._group or self._find_group(limits)
        except ExecutionError as exc:
            limits.check(sent=False)
            raise LogsUnavailable(exc.message) from exc
        found: deque[LogLine] = deque(maxlen=query.limit + 1)
        parameters: dict[str, Any] = {"logGroupName": group.name, "startTime": _milliseconds(query.since)}
        if query.until is not None:
            parameters["endTime"] = _milliseconds(query.until)
        if query.ids:
            parameters["filterPattern"] = " ".join(f"?{_quoted(one)}" for one in query.ids)
        for _ in range(MAX_PAGES):
            answer = self._ask(group, parameters, limits)
            if answer is None:
                return LogPage(
                    lines=(), note=f"There is no log group {group.name} yet: the function never ran."
                )
            found.extend(_lines(answer, query))
            token = answer.get("nextToken")
            if not isinstance(token, str) or not token:
                lines = sorted(found, key=lambda line: line.at)[-query.limit :]
                return LogPage(lines=lines, complete=len(found) <= query.limit)
            parameters["nextToken"] = token
        return LogPage(
            lines=sorted(found, key=lambda line: line.at)[-query.limit :],
            complete=False,
            note="There is more than is read at once. Ask for a shorter time.",
        )

    def close(self) -> None:
        """Closes the unused connections."""
        self._aws.close()

    def _ask(
        self, group: LogGroup, parameters: Mapping[str, Any], limits: Limits
    ) -> Mapping[str, object] | None:
        """One page; None if there is no such group."""
        endpoint = os.environ.get(ENDPOINT_VARIABLE, "").strip() or None
        where = Target(group.region, endpoint, None, signed=True)
        try:
            reply = self._aws.send("logs", "filter_log_events", parameters, where, limits)
            body = _object(b"".join(reply))
        except ExecutionError:
            raise
        except ConfigurationError as exc:
            raise LogsUnavailable(exc.message) from exc
        except InvocationError as exc:
            raise LogsUnavailable(f"Amazon CloudWatch Logs cannot be read. {exc.message}") from exc
        if reply.status == 200:
            return body
        name = str(body.get("__type", "")).rpartition("#")[2]
        match name:
            case "ResourceNotFoundException":
                return None
            case "AccessDeniedException":
                raise LogsUnavailable(
                    f"AWS does not allow these credentials to read {group.name}. Add this statement to the policy of "
                    f"this machine's user or role:\n{group.statement}",
                    statement=group.statement,
                )
            case "ThrottlingException" | "LimitExceededException":
                raise LogsUnavailable(
                    "Amazon CloudWatch Logs is asked too often at present. Try again in a moment."
                )
            case _ if name in BAD_CREDENTIALS or name in EXPIRED:
                self._aws.forget()
                raise LogsUnavailable(
                    "AWS does not accept the credentials of this machine, or they have expired. Renew them (`aws sso "
                    "login`, or new values in the environment and a restart)."
                )
            case _:
                raise LogsUnavailable(
                    f"Amazon CloudWatch Logs refused to read {group.name} (HTTP {reply.status} {name[:80]}). Try again "
                    "later."
                )


def _lines(answer: Mapping[str, object], query: LogQuery) -> list[LogLine]:
    events = answer.get("events")
    lines: list[LogLine] = []
    for event in cast(list[object], events) if isinstance(events, list) else []:
        fields = cast(dict[str, object], event) if isinstance(event, dict) else {}
        raw, at = fields.get("message"), fields.get("timestamp")
        if not isinstance(raw, str) or not isinstance(at, int):
            continue
        key = f"{fields.get('logStreamName')} {fields.get('eventId')} {at}"
        moment = datetime.fromtimestamp(at / 1_000, UTC)
        line = read_line(raw, at=moment, origin=LogOrigin.LAMBDA, key=key)
        if line is not None and query.takes(line, raw):
            lines.append(line)
    return lines


def _object(body: bytes) -> Mapping[str, object]:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, object], value) if isinstance(value, dict) else {}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _milliseconds(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1_000))
