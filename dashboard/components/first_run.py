"""What a new installation sees instead of empty charts: three steps to the first stored, priced run."""

import streamlit as st

from core.storage.records import AgentRecord
from dashboard import routes, state


def first_run(*, demo_agent: AgentRecord | None, has_key: bool) -> None:
    """Draws the three steps.

    Args:
        demo_agent: An agent on the offline demo model, if there is one.
        has_key: Whether a provider besides the offline demo can be used already.
    """
    st.markdown("#### Three steps to a first run")
    st.caption("Nothing has run yet. The offline demo needs no key and no account, and costs nothing.")
    with st.grid(3, min_column_width=240):
        with st.container(border=True, height="stretch"):
            st.markdown("**1 · Run the demo agent**")
            st.caption("Its answer, time and tokens are stored, as with every agent.")
            if st.button("Open the demo agent", type="primary", icon=":material/play_circle:"):
                params = {state.AGENT_ID: str(demo_agent.id)} if demo_agent else {}
                st.switch_page(routes.PLAYGROUND, query_params=params)
        with st.container(border=True, height="stretch"):
            st.markdown("**2 · Add a credential**")
            st.caption(
                "A key is stored already: pick its provider in the playground."
                if has_key
                else "A provider's key opens its models to the same page. It is stored sealed."
            )
            if st.button("Add a credential", icon=":material/key:"):
                st.switch_page(routes.SETTINGS)
        with st.container(border=True, height="stretch"):
            st.markdown("**3 · Look at the run**")
            st.caption("Every run keeps its request, answer, attempts, tokens, time and cost.")
            if st.button("See the runs", icon=":material/list_alt:"):
                st.switch_page(routes.RUNS)
