"""REPORT lines as AWS writes them, and as it does not."""

import base64
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.execution.report_line import MAX_TAIL_BYTES, LambdaReport, read_report

ID = "8f5a7c1e-0d2b-4c3a-9e8f-1a2b3c4d5e6f"
OTHER = "00000000-0000-4000-8000-000000000000"
FIGURES = "Duration: 3.49 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"
WARM = f"REPORT RequestId: {ID}\t{FIGURES}"


def read(tail: str, **options: Any) -> LambdaReport:
    options.setdefault("request_id", ID)
    return read_report(base64.b64encode(tail.encode()).decode(), **options)


def test_a_warm_execution() -> None:
    report = read(
        f"START RequestId: {ID} Version: $LATEST\nhello\nEND RequestId: {ID}\n{WARM}\n", region="eu-west-1"
    )
    assert report == LambdaReport(
        request_id=ID,
        duration_ms=Decimal("3.49"),
        billed_ms=4,
        memory_mb=128,
        max_memory_mb=36,
        log_tail=report.log_tail,
        region="eu-west-1",
    )
    assert report.cold_start is False
    assert "hello" in (report.log_tail or "")


def test_a_cold_start_is_billed_with_its_initialisation() -> None:
    line = WARM.replace("Billed Duration: 4 ms", "Billed Duration: 103 ms") + "Init Duration: 98.76 ms\t"
    report = read(f"{line}\nXRAY TraceId: 1-5e34a614-10bdxmplf1fb44f07bc535a1\tSampled: true\n")
    assert (report.billed_ms, report.init_ms, report.cold_start) == (103, Decimal("98.76"), True)


def test_a_restored_snapshot_is_billed_by_its_own_part() -> None:
    line = (
        f"REPORT RequestId: {ID}\tDuration: 149.53 ms\tBilled Duration: 313 ms\tMemory Size: 3538 MB\t"
        "Max Memory Used: 163 MB\tRestore Duration: 789.64 ms\tBilled Restore Duration: 163 ms\t\n"
    )
    report = read(line)
    assert (report.billed_ms, report.restore_ms, report.billed_restore_ms) == (313, Decimal("789.64"), 163)
    assert report.init_ms is None
    assert report.cold_start is True


def test_spaces_for_tabs_are_read_too() -> None:
    assert replace(read(WARM.replace("\t", " ")), log_tail=None) == replace(read(WARM), log_tail=None)


def test_a_time_out_and_an_end_for_want_of_memory_say_so() -> None:
    timed_out = read(f"{ID} Task timed out after 3.00 seconds\n\n{WARM}Status: timeout\n")
    assert (timed_out.status, timed_out.error_type, timed_out.out_of_memory) == ("timeout", None, False)
    killed = read(f"{WARM}Status: error\tError Type: Runtime.OutOfMemory\n")
    assert (killed.status, killed.error_type, killed.out_of_memory) == ("error", "Runtime.OutOfMemory", True)
    older = WARM.replace("Used: 36", "Used: 128") + "Status: error\tError Type: Runtime.ExitError"
    assert read(older).out_of_memory is True
    assert read(older.replace("Used: 128", "Used: 127")).out_of_memory is False


def as_json(**record: Any) -> str:
    metrics = {"durationMs": 1233.96, "billedDurationMs": 1698, "memorySizeMB": 256, "maxMemoryUsedMB": 123}
    whole = {"requestId": ID, "metrics": {**metrics, **record.pop("metrics", {})}, **record}
    return json.dumps({"time": "2026-10-08T07:30:29.470Z", "type": "platform.report", "record": whole})


def test_the_json_format() -> None:
    line = as_json(metrics={"initDurationMs": 463.512}, status="success")
    start = json.dumps({"time": "", "type": "platform.start", "record": {"requestId": ID}})
    report = read(f"{start}\n{line}\n")
    assert report == LambdaReport(
        request_id=ID,
        duration_ms=Decimal("1233.96"),
        billed_ms=1698,
        memory_mb=256,
        max_memory_mb=123,
        init_ms=Decimal("463.512"),
        status="success",
        log_tail=report.log_tail,
    )
    restored = read(as_json(metrics={"restoreDurationMs": 400.1, "billedRestoreDurationMs": 12}))
    assert (restored.restore_ms, restored.billed_restore_ms) == (Decimal("400.1"), 12)
    failed = read(as_json(status="error", errorType="Runtime.ExitError"))
    assert (failed.status, failed.error_type) == ("error", "Runtime.ExitError")


@pytest.mark.parametrize(
    "tail", ["", "START\nEND\n", f"INIT_REPORT Init Duration: 9.99 ms\tRequestId: {ID}\n"]
)
def test_no_report_is_nothing_known(tail: str) -> None:
    report = read(tail)
    assert (report.billed_ms, report.memory_mb, report.duration_ms, report.cold_start) == (None,) * 4
    assert report.request_id == ID


@pytest.mark.parametrize("log_result", [None, "", "%%%", "QQ", "é"])
def test_no_tail_is_no_fault(log_result: str | None) -> None:
    assert read_report(log_result, request_id=ID).billed_ms is None


def test_a_line_that_was_cut_is_not_guessed_at() -> None:
    assert read(WARM[30:]).billed_ms is None
    assert read(WARM[:70]).billed_ms == read(WARM[:70]).memory_mb is None
    assert read(as_json()[:-4]).billed_ms is None


def test_only_the_end_of_a_longer_tail_is_read() -> None:
    report = read("é" * MAX_TAIL_BYTES + "\n" + WARM)
    assert report.billed_ms == 4
    assert len((report.log_tail or "").encode()) <= MAX_TAIL_BYTES + 3


def test_of_several_lines_the_last_one_of_this_invocation_counts() -> None:
    forged = WARM.replace("Billed Duration: 4 ms", "Billed Duration: 9999 ms")
    other = WARM.replace(ID, OTHER).replace("Billed Duration: 4 ms", "Billed Duration: 7 ms")
    assert read(f"{forged}\n{WARM}\n{other}\n").billed_ms == 4
    assert read(other).billed_ms is None
    assert read(f"{WARM}\n{other}", request_id=None).billed_ms == 7
    assert read(f"{WARM}\n{other}", request_id=None).request_id == OTHER


def test_a_line_within_a_line_is_not_one() -> None:
    assert read(f"the prompt was: {WARM}").billed_ms is None


@pytest.mark.parametrize(
    "figure", ["99999999999999999999 ms", "-4 ms", "4,000 ms", "NaN ms", "4 s", "1e400 ms", " ms"]
)
def test_an_impossible_figure_is_unknown(figure: str) -> None:
    assert read(WARM.replace("Billed Duration: 4 ms", f"Billed Duration: {figure}")).billed_ms is None


@pytest.mark.parametrize(
    "value", [True, "4", None, -1, 1e300, float("nan"), float("inf"), [4], {"a": 1}, 10**30]
)
def test_an_impossible_figure_in_json_is_unknown(value: object) -> None:
    report = read(as_json(metrics={"billedDurationMs": value}))
    assert (report.billed_ms, report.memory_mb) == (None, 256)


def test_the_tail_is_redacted() -> None:
    key = "sk-proj-" + "a1B2c3D4e5F6" * 4
    report = read(f"asked with {key} and my-own-secret\n{WARM}", secrets=("my-own-secret",))
    assert key not in (report.log_tail or "")
    assert "my-own-secret" not in (report.log_tail or "")
    assert key not in repr(report)


_PIECES = st.sampled_from(
    [
        *(
            "REPORT RequestId:",
            "REPORT RequestId: ",
            ID,
            "\tDuration: ",
            "Billed Duration: ",
            " ms",
            " MB",
            "\t",
        ),
        *(
            "Memory Size: ",
            "Status: ",
            "Error Type: ",
            "1",
            "999999999999",
            ".",
            "\n",
            "\r",
            "\u2028",
            "{",
            "}",
        ),
        *(
            '{"type":"platform.report","record":',
            '{"requestId":',
            '"metrics":',
            "[" * 50,
            '"',
            ",",
            "NaN",
            "1e999999",
        ),
    ]
)


@given(st.lists(st.one_of(_PIECES, st.text(max_size=20)), max_size=40).map("".join))
def test_garbage_is_never_an_exception(tail: str) -> None:
    report = read(tail.encode("utf-8", "replace").decode())
    for figure in (report.billed_ms, report.memory_mb, report.max_memory_mb, report.billed_restore_ms):
        assert figure is None or (type(figure) is int and 0 <= figure <= 10_000_000)


@given(st.binary(max_size=300), st.text(max_size=60))
def test_no_bytes_and_no_header_are_an_exception(tail: bytes, header: str) -> None:
    read_report(base64.b64encode(tail).decode(), request_id=ID)
    read_report(header, request_id=None)


_RECORDS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "record", "metrics", "requestId", "billedDurationMs", "status"]), inner
        ),
    ),
    max_leaves=8,
)


@given(_RECORDS, _RECORDS)
def test_any_json_is_no_exception(record: object, metrics: object) -> None:
    for value in (record, {"requestId": ID, "metrics": metrics}):
        read(json.dumps({"type": "platform.report", "record": value}))
