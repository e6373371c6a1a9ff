"""Each error code with its cause and its remedy, as data: what pages, command line and documentation say.

`docs/troubleshooting.md` has a heading for each code with the same cause and remedy; a test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from core.errors import ErrorCode


class RemedyAction(StrEnum):
    """Where a remedy begins; a page draws it as a button or a link, where it has one."""

    ADD_KEY = "add_key"
    EDIT_REQUEST = "edit_request"
    RUN_AGAIN = "run_again"
    CHECK_HEALTH = "check_health"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What an error code means to an operator.

    Attributes:
        title: The error in a few words.
        cause: What happened, in one or two sentences.
        remedy: What to do about it.
        action: Where that begins; None where it lies outside this program.
    """

    title: str
    cause: str
    remedy: str
    action: RemedyAction | None = None


REMEDIES: Final[Mapping[ErrorCode, Remedy]] = MappingProxyType(
    {
        ErrorCode.INVALID_REQUEST: Remedy(
            title="The request cannot be sent like this",
            cause=(
                "The request breaks the contract, or asks for something that this provider or model does not "
                "take. The message names each fault."
            ),
            remedy="Change what the message names: open the run in the playground, or edit the agent.",
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.UNKNOWN_PROVIDER: Remedy(
            title="No such provider",
            cause=(
                "No provider of that name is registered here. Names are case-sensitive: OPENAI, not openai."
            ),
            remedy=(
                "Use one of the names that the message lists. If the provider comes in a package of its own, "
                "install the package where the run is executed."
            ),
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.MISSING_API_KEY: Remedy(
            title="There is no API key for this provider",
            cause=(
                "The provider needs a key, and none was given with the run, stored here or set in the "
                "environment. Several stored keys of which none is chosen count as none."
            ),
            remedy=(
                "Add a credential under Settings > Credentials, choose one in the agent, or set the provider's own "
                "variable (such as OPENAI_API_KEY) and start again. The offline demo (DEMO) works without one."
            ),
            action=RemedyAction.ADD_KEY,
        ),
        ErrorCode.AUTHENTICATION_FAILED: Remedy(
            title="The provider does not accept the key",
            cause=(
                "The key is wrong, was revoked, or belongs to another endpoint than the one that was asked."
            ),
            remedy=(
                "Replace the key under Settings > Credentials, then test the connection in the agent. With a "
                "base URL of your own, check that the key belongs to that server."
            ),
            action=RemedyAction.ADD_KEY,
        ),
        ErrorCode.PERMISSION_DENIED: Remedy(
            title="The key may not do this",
            cause="The provider knows the key, but it has no right to this model, project or region.",
            remedy=(
                "Give the key the right in the provider's console, choose a model that it may use (test the "
                "connection in the agent to see them), or use another key."
            ),
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.MODEL_NOT_FOUND: Remedy(
            title="The provider has no such model",
            cause="The model's name is misspelt, the model was retired, or this key cannot see it.",
            remedy=(
                "Choose a model from the provider's own list in the agent or the playground. With a base URL "
                "of your own, use the name that the server gives its model."
            ),
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.CONTEXT_LENGTH_EXCEEDED: Remedy(
            title="The text is too long for the model",
            cause=(
                "Prompt, context, attachments and the answer that was asked for do not fit the model's "
                "context window together."
            ),
            remedy=(
                "Shorten the prompt or the context, lower max_tokens, or choose a model with a larger "
                "window; its size stands beside the model in the agent."
            ),
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.CONTENT_FILTERED: Remedy(
            title="The provider blocked the text",
            cause=(
                "The provider's safety system refused the prompt or cut the answer. What was generated until "
                "then may be billed."
            ),
            remedy=(
                "Read the prompt and the context for what may have set it off, and rephrase. Running it "
                "again unchanged mostly ends the same way."
            ),
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.RATE_LIMITED: Remedy(
            title="Too many requests",
            cause=(
                "The provider's limit on requests or tokens was reached, and waiting within the run's "
                "deadline did not help; or the account's quota is used up."
            ),
            remedy=(
                "Run it again in a while. If it happens often, start fewer runs at once, raise the limit "
                "with the provider, or check the account's balance: a used-up quota does not come back by "
                "waiting."
            ),
            action=RemedyAction.RUN_AGAIN,
        ),
        ErrorCode.PROVIDER_UNAVAILABLE: Remedy(
            title="The provider could not be reached, or is overloaded",
            cause=(
                "The connection was refused or cut, or the provider answered that it cannot work right now "
                "(5xx). It was tried again within the run's deadline."
            ),
            remedy=(
                "Run it again in a while and look at the provider's status page. With a base URL, check that "
                "the server runs and that this machine can reach it."
            ),
            action=RemedyAction.RUN_AGAIN,
        ),
        ErrorCode.PROVIDER_TIMEOUT: Remedy(
            title="The provider did not answer in time",
            cause=(
                "The message says which of two it was. The server accepted no connection in time: then nothing "
                "was sent, and nothing is billed. Or the server, or a gateway before it, gave up waiting for "
                "the model (status 408): then the model may have worked on it, and billed it."
            ),
            remedy=(
                "Without a connection: check the base URL, the network and the proxy settings. After a 408: "
                "run it again; if it stays so, ask for a shorter answer (max_tokens), or choose a faster "
                "model."
            ),
            action=RemedyAction.RUN_AGAIN,
        ),
        ErrorCode.BAD_PROVIDER_RESPONSE: Remedy(
            title="The answer was not an answer",
            cause=(
                "The server said that all went well, but what it sent is cut off or is not what the provider "
                "documents: a proxy's error page, for example, or a connection that broke in the middle of a "
                "stream."
            ),
            remedy=(
                "Run it again. If it stays so, check the base URL and what stands "
                "between this machine and the provider: a proxy, a firewall, a VPN."
            ),
            action=RemedyAction.RUN_AGAIN,
        ),
        ErrorCode.INTERNAL_ERROR: Remedy(
            title="A fault of this program",
            cause=(
                "Something failed here that nobody foresaw. The detail is in the log, under the request id."
            ),
            remedy=(
                "Look for the request id in the log file (Settings > Health says where it is) and report "
                "what stands there. Running it again may work."
            ),
            action=RemedyAction.CHECK_HEALTH,
        ),
        ErrorCode.LAMBDA_UNREACHABLE: Remedy(
            title="AWS Lambda could not be reached",
            cause=(
                "No connection to AWS could be made, there are no AWS credentials or they may not invoke the "
                "function, or there is no such function in this region. Nothing was executed there."
            ),
            remedy=(
                "Do what the message names: the network, the credentials (`aws sso login`), the permission "
                "lambda:InvokeFunction, AWS_LAMBDA_REGION, LAMBDA_AGENT_FUNCTION_NAME. `agent-launcher doctor` "
                "looks at each."
            ),
            action=RemedyAction.CHECK_HEALTH,
        ),
        ErrorCode.LAMBDA_THROTTLED: Remedy(
            title="AWS Lambda takes no more executions at once",
            cause=(
                "The account's or the function's limit of concurrent executions was reached, so nothing was "
                "executed."
            ),
            remedy=(
                "Run it again in a while, start fewer runs at once, or raise the function's concurrency in "
                "AWS."
            ),
            action=RemedyAction.RUN_AGAIN,
        ),
        ErrorCode.LAMBDA_TIMEOUT: Remedy(
            title="The function on AWS Lambda ran out of time",
            cause=(
                "The function was ended by its own time-out before the model's answer was complete. The time "
                "is billed."
            ),
            remedy="Raise the function's time-out (up to 900 seconds), or ask for a shorter answer.",
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.LAMBDA_FUNCTION_ERROR: Remedy(
            title="The function on AWS Lambda failed",
            cause=(
                "The function ended without an answer (it ran out of memory, or its code failed), or AWS could "
                "not start it: its code cannot be imported, or its network, key or runtime is not as it should be."
            ),
            remedy="Do what the message names. `agent-launcher logs --since 10m` shows the function's log.",
        ),
        ErrorCode.LAMBDA_PAYLOAD_TOO_LARGE: Remedy(
            title="The request or the answer is too large for AWS Lambda",
            cause="AWS Lambda carries at most 6 MB each way.",
            remedy="Send fewer or smaller attachments, or run it locally.",
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.DEADLINE_EXCEEDED: Remedy(
            title="The run's time was up",
            cause=(
                "The run's own deadline passed before the answer was complete, retries and waiting included. "
                "What was received until then is kept, and may be billed."
            ),
            remedy=(
                "Allow more time (the agent's time-out, or AGENT_LAUNCHER_RUN_TIMEOUT_SECONDS), ask for a "
                "shorter answer, or choose a faster model."
            ),
            action=RemedyAction.EDIT_REQUEST,
        ),
        ErrorCode.CANCELLED: Remedy(
            title="The run was cancelled",
            cause=(
                "Somebody stopped it, or the process that worked on it was shut down in order. What was "
                "received until then is kept, and may be billed."
            ),
            remedy="Nothing is wrong. Run it again if the answer is wanted after all.",
            action=RemedyAction.RUN_AGAIN,
        ),
        ErrorCode.BUDGET_EXCEEDED: Remedy(
            title="The budget does not allow this run",
            cause="A budget that blocks has no room left for what this run may cost, so nothing was sent.",
            remedy="Wait for the budget's next period, raise the budget, or choose a cheaper model.",
        ),
        ErrorCode.OUTCOME_UNKNOWN: Remedy(
            title="Nobody knows how this run ended",
            cause=(
                "The request was sent, and then the process that waited for the answer ended or lost the "
                "connection. The provider may have answered, and may bill it."
            ),
            remedy=(
                "Look at the provider's own usage page if it matters whether it was billed. Run it again if "
                "you need the answer, locally where AWS Lambda lost it: that may be billed a second time."
            ),
            action=RemedyAction.RUN_AGAIN,
        ),
    }
)


def remedy_for(code: ErrorCode | str | None) -> Remedy | None:
    """The code's remedy; None for no error, and for a code that a newer version wrote."""
    if code is None:
        return None
    try:
        return REMEDIES[ErrorCode(code)]
    except ValueError:
        return None
