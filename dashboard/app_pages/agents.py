"""All agents."""

from dashboard.agents import actions
from dashboard.agents.list_view import list_view

actions.said()
list_view()
