"""Where a run is asked to run."""

from enum import StrEnum


class BackendChoice(StrEnum):
    """An agent's choice, or a single run's.

    `AUTO`: AWS Lambda where it is configured and switched on, and this process where Lambda completed nothing; else
    this process. `LAMBDA`: AWS Lambda and nowhere else. `LOCAL`: this process.
    """

    AUTO = "AUTO"
    LAMBDA = "LAMBDA"
    LOCAL = "LOCAL"
