from core.services.request_diff import diff_requests


def test_short_fields_are_listed_with_their_values_and_long_ones_as_texts() -> None:
    diff = diff_requests(
        {"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello", "temperature": 0.2},
        {"provider": "DEMO", "model_name": "demo-slow", "prompt": "Hello", "stop": ["END"]},
    )

    assert [(f.label, f.old, f.new, f.changed) for f in diff.fields] == [
        ("Provider", "DEMO", "DEMO", False),
        ("Model", "demo-echo", "demo-slow", True),
        ("Temperature", "0.2", None, True),
        ("Stop sequences", None, '["END"]', True),
    ]
    assert [(text.label, text.diff.same) for text in diff.texts] == [("Prompt", True)]
    assert not diff.same


def test_equal_requests_are_the_same() -> None:
    request = {"provider": "DEMO", "prompt": "Hello", "context": {"a": 1}}

    assert diff_requests(request, dict(request)).same


def test_json_is_compared_line_by_line() -> None:
    diff = diff_requests({"context": {"tier": "gold", "id": 7}}, {"context": {"tier": "silver", "id": 7}})

    (context,) = diff.texts
    assert context.label == "Context (JSON)"
    assert [piece.text for piece in context.diff.new if piece.changed] == ["silver"]


def test_a_field_that_is_not_known_here_is_shown_under_its_own_name() -> None:
    diff = diff_requests({}, {"service_tier": "flex"})

    assert [(f.label, f.old, f.new) for f in diff.fields] == [("service_tier", None, "flex")]


def test_attachments_of_one_name_and_other_bytes_differ() -> None:
    def request(data: str) -> dict[str, object]:
        return {"attachments": [{"name": "scan.png", "media_type": "image/png", "data": data}]}

    assert diff_requests(request("aGVsbG8="), request("aGVsbG8=")).same
    assert not diff_requests(request("aGVsbG8="), request("d29ybGQ=")).same


def test_an_empty_value_is_not_a_change() -> None:
    assert diff_requests({"prompt": "", "context": {}}, {}).same
