"""What a new installation starts with: two agents on the offline demo model."""

from core.errors import OperatorError
from core.loggers import get_logger
from core.services.application import Application, demo_agents_file
from core.services.principal import LOCAL

log = get_logger("agent_launcher.seeding")


def seed_demo_agents(application: Application) -> None:
    """Imports the demo agents into a project that never had an agent.

    An operator who has archived them is left in peace.
    """
    agents = application.agents
    try:
        if agents.list(LOCAL) or agents.list(LOCAL, archived=True):
            return
        path = demo_agents_file()
        if path.exists():
            agents.import_yaml(LOCAL, path.read_text(encoding="utf-8"))
    except OperatorError as exc:
        # A read-only or full store must not keep the pages from opening.
        log.warning("the demo agents were not created: %s", exc)
