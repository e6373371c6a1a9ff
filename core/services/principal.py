"""Who asks, and for which project.

Every service function takes one; until sign-in exists there is one of each.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person or program that asks for something, within a project."""

    id: str
    project_id: str


LOCAL = Principal(id="local", project_id="default")
