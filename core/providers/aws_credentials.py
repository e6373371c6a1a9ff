"""Whether there are AWS credentials, as far as this machine's variables and files tell: nobody is asked.

It follows botocore's own order. What would ask a server or start a program (single sign-on, a role, a process, the
metadata service) is named and not tried, so this takes milliseconds, and a credential that is named may have run out.
"""

import os
from importlib import import_module
from typing import Any, Final

from core.providers.base import OtherCredentials
from core.providers.botocore_adapter import CREDENTIALS_REMEDY

_BEFORE_THE_FILES: Final = ("env",)
_IN_FILES: Final = ("shared-credentials-file", "config-file", "ec2-credentials-file", "boto-config")
_TO_BE_ASKED: Final = (
    ("role_arn", "a role to assume"),
    ("web_identity_token_file", "a web identity"),
    ("sso_session", "single sign-on"),
    ("sso_start_url", "single sign-on"),
    ("login_session", "a login session"),
    ("credential_process", "a program"),
)
_CONTAINER: Final = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def look() -> OtherCredentials:
    """What this process would sign a request with; no secret is kept, and no server is asked."""
    errors = import_module("botocore.exceptions")
    try:
        return _look(import_module("botocore.session").Session())
    except errors.BotoCoreError as exc:
        # Names a profile, a file or a variable; the file's content is not in it.
        kind = type(exc).__name__
        return _none(f"AWS credentials cannot be read from this machine's variables and files ({kind})")


def _look(session: Any) -> OtherCredentials:
    resolver = session.get_component("credential_provider")
    if any(resolver.get_provider(method).load() for method in _BEFORE_THE_FILES):
        return _there("AWS credentials from AWS_ACCESS_KEY_ID")
    name = session.get_config_variable("profile") or "default"
    profile = session.get_scoped_config()
    for key, what in _TO_BE_ASKED:
        if profile.get(key):
            return _there(f"The AWS profile {name} names {what} for AWS credentials, which was not tried")
    if os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and os.environ.get("AWS_ROLE_ARN"):
        return _there(
            "AWS_WEB_IDENTITY_TOKEN_FILE names a web identity for AWS credentials, which was not tried"
        )
    if any(resolver.get_provider(method).load() for method in _IN_FILES):
        return _there(f"AWS credentials from the profile {name}")
    if any(os.environ.get(variable) for variable in _CONTAINER):
        return _there("This container's role gives AWS credentials, which was not tried")
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return _none("No AWS credentials in variables or files")
    return _none(
        "No AWS credentials in variables or files; whether this machine has an IAM role was not asked"
    )


def _there(detail: str) -> OtherCredentials:
    return OtherCredentials(found=True, detail=detail, remedy="")


def _none(detail: str) -> OtherCredentials:
    return OtherCredentials(found=False, detail=detail, remedy=CREDENTIALS_REMEDY)
