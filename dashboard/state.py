"""Every key of `st.session_state` and every query parameter, by page.

A widget that is bound to the URL (`bind="query-params"`) uses its key as the parameter's name, so the keys of
bound widgets are short words that read well in an address. Other keys start with their page's name.
"""

from typing import Final

# Shared by the pages that show a range of time

RANGE: Final = "range"
"""`Period` of the overview and the usage page; bound to the URL and kept from page to page."""

# Addresses of single things

RUN_ID: Final = "id"
"""Query parameter of the run page: the run's UUID."""

AGENT_ID: Final = "agent"
"""Query parameter of the agents page and the playground: the agent's UUID."""

# Usage

USAGE_SPLIT: Final = "split"
USAGE_PROVIDER: Final = "provider"
USAGE_MODEL: Final = "model"
USAGE_AGENT: Final = "agent"
