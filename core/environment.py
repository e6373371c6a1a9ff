"""The environment, and `.env` under it.

A variable that is set in the real environment wins, also when it is set to nothing, which means "not set".
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from dotenv.parser import parse_stream

from core.errors import SettingsError


class Environment:
    """What both say, read once.

    Args:
        variables: Instead of `os.environ`.
        dotenv_path: Instead of `.env` in the working directory; must exist if given.

    Raises:
        SettingsError: As in `read_dotenv`.
    """

    def __init__(
        self,
        variables: Mapping[str, str] | None = None,
        *,
        dotenv_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.variables = os.environ if variables is None else variables
        self.file = _find(dotenv_path)
        self.dotenv = {} if self.file is None else read_dotenv(self.file)

    def text(self, name: str) -> str | None:
        """The value without spaces around it; None if it is not set, or to nothing."""
        value = self.variables[name] if name in self.variables else self.dotenv.get(name, "")
        return value.strip() or None

    def origin(self, name: str) -> str:
        """Where it is set, for a message."""
        return "set in the environment" if name in self.variables else f"set in {self.file}"


def apply_dotenv(
    environ: MutableMapping[str, str] | None = None, *, dotenv_path: str | os.PathLike[str] | None = None
) -> Path | None:
    """Copies the variables of `.env` that are not set yet into the environment; returns the file, if any.

    Whoever starts a process calls this first, so that `.env` also reaches what reads the environment by
    itself: the vendors' keys (`OPENAI_API_KEY`), their SDKs' endpoints, boto3's chain.

    Raises:
        SettingsError: As in `read_dotenv`.
    """
    target = os.environ if environ is None else environ
    path = _find(dotenv_path)
    if path is not None:
        for name, value in read_dotenv(path).items():
            target.setdefault(name, value)
    return path


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables in a `.env` file. `${NAME}` is not expanded: a value is what stands there.

    Raises:
        SettingsError: It cannot be read, or a line is not `NAME=value`; the line's text is not repeated.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except OSError as exc:
        raise SettingsError(
            f"{path} cannot be read: {exc.strerror}. Check the path and its permissions."
        ) from exc
    values: dict[str, str] = {}
    for binding in bindings:
        value = binding.value
        if binding.error or (value is not None and "\0" in value):
            raise SettingsError(
                f"{path}, line {binding.original.line}: not a NAME=value line. Put a value that holds "
                "quotes, # or line breaks between double quotes; start a comment with #."
            )
        if binding.key is not None and value is not None:
            values[binding.key] = value
    return values


def _find(given: str | os.PathLike[str] | None) -> Path | None:
    if given is not None:
        return Path(given).absolute()
    path = Path.cwd() / ".env"
    # A folder of that name is somebody's virtual environment.
    return path if path.is_file() else None
