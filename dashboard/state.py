"""Every key of `st.session_state` and every query parameter, by page.

A widget that is bound to the URL (`bind="query-params"`) uses its key as the parameter's name, so the keys of
bound widgets are short words that read well in an address. Other keys start with their page's name.
"""

from typing import Final

# Shared by the pages that show a range of time

RANGE: Final = "range"
"""`Period` of the overview and the usage page; bound to the URL and kept from page to page."""

PAGE: Final = "page-shown"
"""Which page was drawn last: to see that another one is arrived at."""

FRAME_PAGE: Final = "frame.page"
ARRIVED: Final = "frame.arrived"
"""Which page the frame drew last, and whether it draws another one now: not so after a step back within a page."""

# Addresses of single things

RUN_ID: Final = "id"
"""Query parameter of the run page: the run's UUID."""

AGENT_ID: Final = "agent"
"""Query parameter of the agents page and the playground: the agent's UUID."""

# Usage

USAGE_SPLIT: Final = "split"
"""What charts are split by. The filters' keys are those of the runs, so that they go along to them."""

USAGE_VIEW: Final = "view"
"""The tab; bound to the URL by its title."""

USAGE_CONFIGURATION: Final = "usage.configuration"
"""Which configuration of the function right-sizing is about, by its name on screen."""

# Runs; all but the last three are bound to the URL

RUNS_AGENT: Final = "agent"
RUNS_PROVIDER: Final = "provider"
RUNS_MODEL: Final = "model"
SHARED_FILTERS: Final = (RUNS_AGENT, RUNS_PROVIDER, RUNS_MODEL)
"""The filters that the usage page has too."""

RUNS_FIND: Final = "run"
"""A run's id, or its beginning."""

RUNS_SOUGHT: Final = "runs-sought"
"""That it was given just now: when only one run has it, its page is opened."""

RUNS_STATUS: Final = "status"
RUNS_TRIGGER: Final = "trigger"
RUNS_BACKEND: Final = "backend"
RUNS_ERROR: Final = "error"
RUNS_COST_MIN: Final = "cost_min"
RUNS_COST_MAX: Final = "cost_max"
RUNS_UNPRICED: Final = "unpriced"
RUNS_FROM: Final = "from"
RUNS_TO: Final = "to"
RUNS_GROUP: Final = "group"
"""Query parameter: the runs that were started together."""

RUNS_CURSOR: Final = "cursor"
"""Query parameter: where the page of the list begins."""

RUNS_LAST: Final = "runs-last"
"""The address of the list as it was last seen."""

RUNS_SHOWN: Final = "runs-shown"
"""What the list shows: kept as it is while rows are selected."""

RUNS_EXPORT: Final = "runs-export-job"
"""The export that this session has begun: the filters as text, and its id."""

# One run

RUN_COMPARE: Final = "compare"
"""Query parameter of the run page: the UUID of the run beside it."""

# Agents

AGENT_PAGE_ID: Final = "id"
"""Query parameter of an agent's page: its UUID, or AGENT_NEW; without it the form for a new one."""

AGENT_VERSION: Final = "version"
"""Query parameter of an agent's page: the version's number that its history shows."""

AGENT_NEW: Final = "new"
"""In the place of an agent's id: the form for a new one."""

AGENT_TAB: Final = "tab"
"""What an agent's page shows; bound to the URL."""

AGENT_SEARCH: Final = "search"
AGENT_ARCHIVED: Final = "archived"
"""Bound to the URL."""

AGENT_DRAFTS: Final = "agents-drafts"
"""By agent: what its form was begun from."""

AGENT_FORMS: Final = "agents-forms"
"""How many forms were begun: their widgets' keys carry the number."""

AGENT_CHECKED: Final = "agents-checked"
"""What the last test of a connection asked for, and what came of it."""

AGENT_SAVED: Final = "agents-saved"
"""What was just done, until the page has said so."""

# Playground

PLAYGROUND_MODE: Final = "playground.mode"
"""`prompt` or `chat`."""

PLAYGROUND_MODE_PARAMETER: Final = "mode"
"""Query parameter of the playground: `chat`, or nothing."""

PLAYGROUND_RUNS: Final = "runs"
"""Query parameter of the playground: the ids of the runs on show, with commas; any run can be opened so."""

PLAYGROUND_VERSION: Final = "version"
"""Query parameter of the playground beside `AGENT_ID`: the version's number; the current one without it."""

PLAYGROUND_PROVIDER: Final = "with_provider"
PLAYGROUND_MODEL: Final = "with_model"
PLAYGROUND_SERVER: Final = "with_server"
"""Query parameters of the playground: a provider, its model and, if not the provider's own, the server's base URL,
in the place of those that it would begin with. They are there for as long as the first column has them."""

PLAYGROUND_ASKED_MODEL: Final = "playground.asked_model"
"""The three of them as the address gave them."""

PLAYGROUND_LINK: Final = "playground.link"
"""The query parameters as the page last wrote them: others come from a link or the browser's back button."""

PLAYGROUND_BARE_LINK: Final = "playground.bare_link"
"""What these parameters would be for the page as it opens without any: while it is so, none is written."""

PLAYGROUND_DRAFT: Final = "draft"
"""Query parameter of the playground: the id under which what was typed is kept for a reload."""

PLAYGROUND_DRAFT_ID: Final = "playground.draft_id"
"""The id of this session."""

PLAYGROUND_OPENED: Final = "playground.opened"
"""What could have been typed, as it was when the address was opened: the page has a draft when it is another."""

PLAYGROUND_SLOTS: Final = "playground.slots"
"""The columns that stand side by side: a list of numbers, which their keys carry."""

PLAYGROUND_SHOWN: Final = "playground.shown"
"""The run that each column shows, by its number."""

PLAYGROUND_TURNS: Final = "playground.turns"
"""The chat's turns, oldest first: pairs of the run's id and what was asked."""

PLAYGROUND_PRELUDE: Final = "playground.prelude"
"""The messages before the first of those turns, of a chat that began elsewhere."""

PLAYGROUND_FAULTS: Final = "playground.faults"
"""The columns that could not be run as they were when that was last asked for."""

PLAYGROUND_NOT_STARTED: Final = "playground.not_started"
"""Why nothing was started although the columns were right."""

PLAYGROUND_NOT_STOPPED: Final = "playground.not_stopped"
"""Why a run could not be stopped, until the page has said so."""

PLAYGROUND_PROMPT: Final = "playground.prompt"
PLAYGROUND_CONTEXT: Final = "playground.context"
PLAYGROUND_FILES: Final = "playground.files"
PLAYGROUND_READ_FILES: Final = "playground.read_files"
"""The uploaded files as attachments, by the upload's id: encoding them again on each rerun would be felt."""

PLAYGROUND_KEPT_FILES: Final = "playground.kept_files"
"""The attachments of a run that was opened again; an upload has no way back into its widget."""

PLAYGROUND_LOADED: Final = "playground.loaded"
"""The texts that an agent brought, by field: what is still one of them gives way to the next agent's."""

PLAYGROUND_UNSENT: Final = "playground.unsent"
"""What was written in the chat and could not be sent."""

PLAYGROUND_SAVE_NOTE: Final = "playground.save.note"
PLAYGROUND_SAVE_VALUES: Final = "playground.save.values"
PLAYGROUND_SAVE_NAME: Final = "playground.save.name"
PLAYGROUND_SAVE_DESCRIPTION: Final = "playground.save.description"
PLAYGROUND_SAVED: Final = "playground.saved"
"""How saving ended: "" if well, else why not; until the dialog has shown it."""

PLAYGROUND_NOTICE: Final = "playground.notice"
"""What the page says once, in passing: a callback in a dialog cannot."""

PLAYGROUND_RAW: Final = "playground.raw"
"""Whether answers are shown as plain text instead of Markdown."""


def playground_field(slot: int, name: str) -> str:
    """The key of a column's field."""
    return f"playground.{slot}.{name}"


def playground_variable(name: str) -> str:
    """The key of the field for a prompt's variable."""
    return f"playground.variable.{name}"


# Settings

SETTINGS_SECTION: Final = "section"
"""The tab; bound to the URL by its title."""

SETTINGS_FAULT: Final = "settings.fault"
"""Why what a dialog or form asked for was refused; shown once."""

SETTINGS_DONE: Final = "settings.done"
"""What was done, for the message after a dialog closes."""

SETTINGS_TESTS: Final = "settings.tests"
"""What the connection tests said, by the credential's id."""

SETTINGS_KEY: Final = "settings.key"
"""The field in which a key is typed: emptied as soon as the key is stored."""

SETTINGS_CREDENTIAL_NAME: Final = "settings.credential.name"
SETTINGS_CREDENTIAL_PROVIDER: Final = "settings.credential.provider"
SETTINGS_CREDENTIAL_BASE_URL: Final = "settings.credential.base_url"
SETTINGS_CREDENTIAL_REFERENCE: Final = "settings.credential.reference"

SETTINGS_LAMBDA_CHECKS: Final = "settings.lambda.checks"
"""What the checks of AWS Lambda found when they were last made."""

SETTINGS_LAMBDA_TEST: Final = "settings.lambda.test"
"""The outcome of the last test of the function, and why it was not begun."""

SETTINGS_PROVIDER: Final = "settings.default.provider"
SETTINGS_TIME_ZONE: Final = "settings.default.time_zone"


def settings_model(provider: str) -> str:
    """The key of the default model's field: each provider has its own choice."""
    return f"settings.default.model.{provider}"


SETTINGS_LOOKUP_PROVIDER: Final = "settings.lookup.provider"


def settings_lookup_model(provider: str) -> str:
    """The key of the field for the model whose price is looked up."""
    return f"settings.lookup.model.{provider}"


def settings_price(name: str) -> str:
    """The key of a field of the form for a new price."""
    return f"settings.price.{name}"


def settings_price_edited(name: str) -> str:
    """The key of a field of the form in which a price is edited."""
    return f"settings.price.edited.{name}"


# Costs; all but the prompt are bound to the URL

COSTS_AGENT: Final = "baseline"
COSTS_INPUT: Final = "input"
COSTS_OUTPUT: Final = "output"
COSTS_CACHED: Final = "cached"
COSTS_RUNS: Final = "runs_each"
COSTS_PER: Final = "per"
COSTS_PROVIDERS: Final = "providers"
COSTS_SEARCH: Final = "find"
COSTS_CONFIGURED: Final = "configured"
COSTS_DEPRECATED: Final = "ended"
COSTS_PROMPT: Final = "costs.prompt"
COSTS_TABLE: Final = "costs.table"
COSTS_TRY: Final = "costs.try"
"""The table's button that leads to the playground."""

# Logs; all of them are bound to the URL

LOGS_ORIGIN: Final = "log"
LOGS_BACK: Final = "back"
LOGS_LEVEL: Final = "level"
LOGS_TEXT: Final = "holds"
LOGS_LIVE: Final = "live"
