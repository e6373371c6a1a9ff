"""The settings' section on AWS Lambda."""

from typing import Final

import streamlit as st

from core.errors import AgentLauncherError
from core.execution.choice import BackendChoice
from core.services.agent_config import AgentConfig
from core.services.run_spec import RunSpec
from core.storage.records import Trigger
from dashboard import state
from dashboard.backend import application, principal
from dashboard.breaker import breaker_if_open
from dashboard.components import settings_lambda as section
from dashboard.components.doc_door import doc_door
from dashboard.components.empty_state import empty_state

_VARIABLES: Final = (
    "LAMBDA_AGENT_FUNCTION_NAME",
    "USE_LAMBDA_FOR_AGENT_EXECUTION",
    "AWS_LAMBDA_REGION",
    "AWS_ENDPOINT_URL_LAMBDA",
)
_TEST_SECONDS: Final = 60.0


def lambda_view() -> None:
    """Draws it."""
    if application().settings.lambda_agent_function_name is None:
        _not_set_up()
        return
    breaker_if_open()
    found = application().installation.describe(principal()).settings
    section.in_use([one for name in _VARIABLES for one in found if one.variable == name])
    if state.SETTINGS_LAMBDA_CHECKS not in st.session_state:
        _check()
    if section.checked(st.session_state[state.SETTINGS_LAMBDA_CHECKS]):
        _check(fresh=True)
        st.rerun()
    outcome, refused = st.session_state.get(state.SETTINGS_LAMBDA_TEST, (None, None))
    if section.function_test(outcome, refused):
        _test()
        st.rerun()


def _not_set_up() -> None:
    with empty_state(
        "AWS Lambda is not set up",
        "All runs are on this machine. Deploy the function, then set LAMBDA_AGENT_FUNCTION_NAME and AWS_LAMBDA_REGION, "
        "and USE_LAMBDA_FOR_AGENT_EXECUTION=true for it to be the default.",
        icon=":material/cloud_off:",
    ):
        doc_door("lambda.md", "How to deploy the function", key="lambda-docs")


def _check(*, fresh: bool = False) -> None:
    with st.spinner("Looking at the function"):
        st.session_state[state.SETTINGS_LAMBDA_CHECKS] = application().health.of_lambda(
            principal(), fresh=fresh
        )


def _test() -> None:
    spec = RunSpec(
        config=AgentConfig(provider="DEMO", model_name="demo-echo", timeout_seconds=_TEST_SECONDS),
        prompt="Say that you are there.",
        backend=BackendChoice.LAMBDA,
        trigger=Trigger.PLAYGROUND,
    )
    try:
        with st.spinner("Running on AWS Lambda"):
            outcome = application().runs.run(principal(), spec)
    except AgentLauncherError as exc:
        st.session_state[state.SETTINGS_LAMBDA_TEST] = (None, str(exc))
    else:
        st.session_state[state.SETTINGS_LAMBDA_TEST] = (outcome, None)
