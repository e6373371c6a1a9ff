"""A stand-in for the AWS Lambda service on loopback: Invoke and GetFunctionConfiguration, and every way to fail.

    with LambdaService() as service:
        executor = LambdaExecutor(LambdaTarget(function="agent", endpoint_url=service.url))
        service.will(Act.refuse(429, "TooManyRequestsException", Reason="CallerRateLimitExceeded"), Act.answer())

Acts are used once each, in the order in which invocations arrive; `otherwise` follows when they are used up.
The function is any `function(event, context)`; `Emulators` gives one that real runtime emulators execute, one call at a
time each. `invocations` counts requests, `started` how often AWS would start the function, `executions` how often it
ran to its end.

Run as a program, it serves until it is killed, for measurements in which it must not share the caller's interpreter:
`python -m tests.support.lambda_service`, which prints its address.
"""

import base64
import json
import math
import queue
import socket
import struct
import sys
import threading
import time
import urllib.request
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType, SimpleNamespace
from typing import Any, Self
from urllib.parse import unquote, urlsplit

Function = Callable[[Any, "Context"], Any]
MAX_TAIL_BYTES = 4 * 1024


@dataclass(frozen=True)
class Context:
    """What a handler is given beside the event."""

    aws_request_id: str
    function_name: str
    memory_limit_in_mb: str
    deadline: float
    client_context: Any = None

    def get_remaining_time_in_millis(self) -> int:
        """Until the function's time-out."""
        return max(0, int(min(self.deadline - time.monotonic(), 900) * 1_000))


class Ending(StrEnum):
    """How the connection ends."""

    COMPLETE = "complete"
    RESET = "reset"
    CUT = "cut"
    """In the middle of the answer's body."""
    SILENCE = "silence"
    """Nothing comes, until the client leaves or the service stops."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """What becomes of one invocation.

    Attributes:
        runs: Whether the function runs first.
        status: Of the answer.
        headers: More of them.
        body: Instead of what the function returned.
        report: Whether AWS's log tail comes with the answer, if the function was started.
        report_status: What the REPORT line says besides the figures.
        starts: Whether an execution began, though the handler may not have ended.
    """

    runs: bool = True
    starts: bool = True
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    report: bool = True
    report_status: str = ""
    ending: Ending = Ending.COMPLETE

    @classmethod
    def answer(cls) -> Self:
        """What the function returned."""
        return cls()

    @classmethod
    def refuse(cls, status: int, name: str, *, message: str = "Refused.", **fields: object) -> Self:
        """An exception of AWS's API: nothing runs."""
        headers = {"X-Amzn-ErrorType": name}
        if (seconds := fields.pop("retry_after", None)) is not None:
            headers["Retry-After"] = str(seconds)
        body = json.dumps({"Type": "User", "Message": message, **fields}).encode()
        return cls(runs=False, starts=False, status=status, headers=headers, body=body)

    @classmethod
    def gateway(cls, status: int, *, runs: bool) -> Self:
        """An error of something between: without AWS's name, before or after the execution."""
        return cls(
            runs=runs, starts=runs, status=status, body=b"<html><h1>Bad gateway</h1></html>", report=False
        )

    @classmethod
    def fail(
        cls,
        error_type: str,
        message: str,
        *,
        runs: bool = False,
        kind: str = "Unhandled",
        report_status: str = "",
    ) -> Self:
        """The function ends with an error: the status is 200, and a header says so."""
        body = json.dumps({"errorType": error_type, "errorMessage": message, "stackTrace": ["  at line 1"]})
        return cls(
            runs=runs,
            body=body.encode(),
            headers={"X-Amz-Function-Error": kind},
            report_status=report_status,
        )

    @classmethod
    def time_out(cls, *, runs: bool, seconds: str = "60.00") -> Self:
        """The function is killed by its time-out, after its provider answered or before."""
        return cls.fail(
            "Sandbox.Timedout",
            f"RequestId: {uuid.uuid4()} Error: Task timed out after {seconds} seconds",
            runs=runs,
            report_status="Status: timeout",
        )

    @classmethod
    def out_of_memory(cls, *, runs: bool) -> Self:
        """The function is killed because it used up its memory."""
        return cls.fail(
            "Runtime.OutOfMemory",
            f"RequestId: {uuid.uuid4()} Error: Runtime exited with error: signal: killed",
            runs=runs,
            report_status="Status: error\tError Type: Runtime.OutOfMemory",
        )

    @classmethod
    def reset(cls, *, runs: bool) -> Self:
        """The connection is reset, after the execution or before."""
        return cls(runs=runs, starts=runs, ending=Ending.RESET)

    @classmethod
    def hang(cls, *, runs: bool) -> Self:
        """Nothing comes back."""
        return cls(runs=runs, starts=runs, ending=Ending.SILENCE)

    @classmethod
    def cut(cls) -> Self:
        """The function ran, and the connection closes in the middle of its answer."""
        return cls(ending=Ending.CUT)

    @classmethod
    def say(cls, body: bytes) -> Self:
        """The function ran, and this comes instead of its answer."""
        return cls(body=body)


def run_in_process(event: Any, context: Context) -> dict[str, Any]:
    """The function: the very handler that is deployed."""
    from lambda_handler.handler import handle

    return handle(event, context)


class Emulators:
    """A function that runtime emulators execute: each takes one call at a time, so the others wait."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._free: queue.Queue[str] = queue.Queue()
        for url in urls:
            self._free.put(url)

    def __call__(self, event: Any, context: Context) -> Any:
        """Passes the event on."""
        url = self._free.get(timeout=60)
        try:
            path = f"{url}/2015-03-31/functions/function/invocations"
            request = urllib.request.Request(path, json.dumps(event).encode(), method="POST")
            with urllib.request.urlopen(
                request, timeout=context.get_remaining_time_in_millis() / 1_000 + 5
            ) as reply:
                return json.loads(reply.read())
        finally:
            self._free.put(url)


class LambdaService:
    """See the module.

    Args:
        function: What runs.
        configuration: Changes the function's configuration; None where there is none to read (403).
        log_format: "Text" or "JSON", of the log tail.
    """

    def __init__(
        self,
        function: Function = run_in_process,
        *,
        configuration: Mapping[str, Any] | None = MappingProxyType({}),
        log_format: str = "Text",
        host: str = "127.0.0.1",
    ) -> None:
        self.function = function
        self.configuration = configuration
        self.log_format = log_format
        self.printed = ""
        """What the function's log has besides AWS's own lines."""
        self.invocations: list[dict[str, Any]] = []
        self.configuration_reads = 0
        self.configuration_faults = 0
        """How many of the next looks at the configuration AWS throttles."""
        self.started = 0
        self.executions = 0
        self.connections = 0
        self.last_path = ""
        self.last_headers: Mapping[str, str] = {}
        self.dry_run = Act(runs=False, starts=False, status=204)
        self.otherwise = Act.answer()
        """What becomes of an invocation for which `will` left nothing."""
        self.on_invocation: Callable[[], None] | None = None
        self._acts: deque[Act] = deque()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._warm = False
        self._server = _Server(host, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://{self._server.server_address[0]}:{self._server.server_address[1]}"

    def will(self, *acts: Act) -> None:
        """What becomes of the next invocations."""
        self._acts.extend(acts)

    def stop(self) -> None:
        """Ends it, with its open connections."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, event: Any) -> Act:
        """An invocation has come; what becomes of it."""
        with self._lock:
            self.invocations.append(event)
            act = self._acts.popleft() if self._acts else self.otherwise
            self.started += act.starts
        if self.on_invocation is not None:
            self.on_invocation()
        return act

    def facts(self, name: str) -> dict[str, Any]:
        """The function's configuration."""
        return {
            "FunctionName": name,
            "FunctionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}",
            "Runtime": "python3.13",
            "Handler": "lambda_handler.handler.handle",
            "Timeout": 60,
            "MemorySize": 512,
            "Architectures": ["arm64"],
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Version": "$LATEST",
            "Environment": {"Variables": {}},
            "LoggingConfig": {"LogFormat": self.log_format, "LogGroup": f"/aws/lambda/{name}"},
            **(self.configuration or {}),
        }

    def execute(self, name: str, event: Any, request_id: str, client_context: str | None) -> bytes:
        """Runs the function."""
        facts = self.facts(name)
        given = json.loads(base64.b64decode(client_context)) if client_context else {}
        context = Context(
            request_id,
            name,
            str(facts["MemorySize"]),
            time.monotonic() + facts["Timeout"],
            SimpleNamespace(custom=given.get("custom")),
        )
        answer = json.dumps(self.function(event, context)).encode()
        with self._lock:
            self.executions += 1
        return answer

    def log_tail(self, name: str, request_id: str, seconds: float, status: str) -> str:
        """The last 4 KB of the log, as AWS sends it."""
        with self._lock:
            init, self._warm = (None if self._warm else 123.45), True
        memory = self.facts(name)["MemorySize"]
        duration = seconds * 1_000
        billed = math.ceil(duration + (init or 0))
        used = memory if "OutOfMemory" in status else 71
        if self.log_format == "JSON":
            words = dict(part.split(": ", 1) for part in status.split("\t") if part)
            metrics = {"durationMs": round(duration, 3), "billedDurationMs": billed, "memorySizeMB": memory}
            metrics |= {"maxMemoryUsedMB": used} | ({} if init is None else {"initDurationMs": init})
            record: dict[str, Any] = {"requestId": request_id, "metrics": metrics}
            record["status"] = words.get("Status", "success")
            if "Error Type" in words:
                record["errorType"] = words["Error Type"]
            lines = [{"time": "2026-11-22T00:00:00.000Z", "type": "platform.report", "record": record}]
            text = self.printed + "".join(json.dumps(line) + "\n" for line in lines)
        else:
            text = (
                f"START RequestId: {request_id} Version: $LATEST\n{self.printed}END RequestId: {request_id}\n"
            )
            text += (
                f"REPORT RequestId: {request_id}\tDuration: {duration:.2f} ms\tBilled Duration: {billed} ms\t"
            )
            text += f"Memory Size: {memory} MB\tMax Memory Used: {used} MB\t"
            text += ("" if init is None else f"Init Duration: {init:.2f} ms\t") + f"{status}\n"
        return base64.b64encode(text.encode()[-MAX_TAIL_BYTES:]).decode()

    def wait(self) -> None:
        """Until the service stops; a client's leaving is seen by the caller."""
        self._stopping.wait(0.02)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, host: str, service: LambdaService) -> None:
        self.service = service
        super().__init__((host, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _service(self) -> LambdaService:
        assert isinstance(self.server, _Server)
        return self.server.service

    def setup(self) -> None:
        super().setup()
        self._service.connections += 1

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        match urlsplit(self.path).path.split("/"):
            case ["", "2015-03-31", "functions", name, "configuration"]:
                self._service.configuration_reads += 1
                if self._service.configuration_faults:
                    self._service.configuration_faults -= 1
                    body = b'{"message": "Rate exceeded"}'
                    self._send(429, body, {"X-Amzn-ErrorType": "TooManyRequestsException"})
                elif self._service.configuration is None:
                    body = b'{"Message": "not authorized to perform: lambda:GetFunctionConfiguration"}'
                    self._send(403, body, {"X-Amzn-ErrorType": "AccessDeniedException"})
                else:
                    self._send(200, json.dumps(self._service.facts(unquote(name))).encode())
            case _:
                self._send(404, b"404 page not found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._service.last_path, self._service.last_headers = self.path, dict(self.headers)
        match urlsplit(self.path).path.split("/"):
            case ["", "2015-03-31", "functions", name, "invocations"]:
                self._invoke(unquote(name), body)
            case _:
                self._send(404, b"404 page not found")

    def _invoke(self, name: str, body: bytes) -> None:
        event = json.loads(body)
        if self.headers.get("X-Amz-Invocation-Type") == "DryRun":
            act = self._service.dry_run
            self._send(act.status, act.body or b"", act.headers)
            return
        request_id, act = str(uuid.uuid4()), self._service.take(event)
        started = time.perf_counter()
        client_context = self.headers.get("X-Amz-Client-Context")
        answer = self._service.execute(name, event, request_id, client_context) if act.runs else b""
        headers = {"X-Amzn-RequestId": request_id, **act.headers}
        if act.starts and act.report and self.headers.get("X-Amz-Log-Type") == "Tail":
            seconds = time.perf_counter() - started
            headers["X-Amz-Log-Result"] = self._service.log_tail(name, request_id, seconds, act.report_status)
        payload = answer if act.body is None else act.body
        match act.ending:
            case Ending.COMPLETE:
                self._send(act.status, payload, headers)
            case Ending.CUT:
                self._send(act.status, payload, headers, cut=True)
            case Ending.RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
            case Ending.SILENCE:
                self.close_connection = True
                while not self._service.stopping and not self._client_left():
                    self._service.wait()

    def _client_left(self) -> bool:
        self.connection.settimeout(0.01)
        try:
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, cut: bool = False
    ) -> None:
        lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.wfile.write(head + (body[: len(body) // 2] if cut else body))
        self.close_connection = cut


def _main() -> None:
    answer = run_in_process(
        {"provider": "DEMO", "model_name": "demo-echo", "prompt": "warm"}, Context("", "", "", math.inf)
    )
    quick = "--quick" in sys.argv
    with LambdaService((lambda event, context: answer) if quick else run_in_process) as service:
        sys.stdout.write(f"{service.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _main()
