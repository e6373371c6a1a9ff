"""What a new installation sees instead of empty charts: three steps to the first stored, priced run."""

import streamlit as st

from dashboard import routes


def first_run(*, has_key: bool) -> None:
    """Draws the three steps.

    Args:
        has_key: Whether a provider besides the offline demo can be used already.
    """
    st.markdown("#### Three steps to a first run")
    st.caption("Nothing has run yet. The offline demo needs no key and no account, and costs nothing.")
    with st.grid(3, min_column_width=240):
        with st.container(border=True, height="stretch"):
            st.markdown("**1 · Run the demo agent**")
            st.caption("An agent on the offline demo model is ready. Its answer, time and tokens are stored.")
            routes.page_link(routes.PLAYGROUND, "Open the playground", icon=":material/play_circle:")
        with st.container(border=True, height="stretch"):
            st.markdown("**2 · Add a key**")
            st.caption(
                "A key is there already: pick its provider in the playground."
                if has_key
                else "A provider's key opens its models to the same page. It is stored sealed."
            )
            routes.page_link(routes.SETTINGS, "Add a credential", icon=":material/key:")
        with st.container(border=True, height="stretch"):
            st.markdown("**3 · Look at the run**")
            st.caption("Every run keeps its request, answer, attempts, tokens, time and cost.")
            routes.page_link(routes.RUNS, "See the runs", icon=":material/list_alt:")
