"""The core, wired: what the dashboard, the command line, the API and `lambda_service` all hold one of."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from core.execution.breaker import CircuitBreaker
from core.execution.fallback import LambdaRoute
from core.execution.local import LocalExecutor
from core.providers.addresses import is_this_machine
from core.security.vault import Vault
from core.services.agents import AgentService
from core.services.cost_guidance import CostGuidanceService
from core.services.credentials import CredentialService
from core.services.export_jobs import ExportService
from core.services.health import HealthService
from core.services.housekeeping import Housekeeping
from core.services.installation import InstallationService
from core.services.lambda_usage import LambdaUsageService
from core.services.preferences import PreferenceService
from core.services.presence import Presence
from core.services.prices import PriceService
from core.services.runs import RunService
from core.services.usage import UsageService
from core.settings import Settings, ensure_data_dir
from core.storage.store import Store

if TYPE_CHECKING:
    from core.execution.aws_lambda import LambdaExecutor
    from core.services.logs import LogService


@dataclass(frozen=True, kw_only=True)
class Application:
    """All services of one process, over one store.

    Attributes:
        lambda_executor: The function on AWS Lambda; None if it is not set up.
        lambda_breaker: What keeps this process's runs from it while it is down; likewise.
    """

    settings: Settings
    store: Store
    vault: Vault
    presence: Presence
    runs: RunService
    exports: ExportService
    agents: AgentService
    credentials: CredentialService
    prices: PriceService
    costs: CostGuidanceService
    usage: UsageService
    lambda_usage: LambdaUsageService
    preferences: PreferenceService
    health: HealthService
    installation: InstallationService
    housekeeping: Housekeeping
    lambda_executor: "LambdaExecutor | None" = None
    lambda_breaker: CircuitBreaker | None = None

    @classmethod
    def open(cls, settings: Settings, *, kind: str) -> Self:
        """Opens the store and wires the services.

        Args:
            settings: Where everything is.
            kind: What this process is ("up", "dashboard", "cli", "python"), for the list of workers.

        Raises:
            SettingsError: The data directory cannot be made.
            StoreError: The database cannot be used; the text says what to do.
        """
        ensure_data_dir(settings)
        return cls._wired(settings, Store.open(settings.database_url), kind=kind)

    @classmethod
    def _wired(cls, settings: Settings, store: Store, *, kind: str) -> Self:
        vault = Vault(settings, secrets_exist=store.credentials.any_sealed)
        credentials = CredentialService(store, vault)
        prices = PriceService(store)
        agents = AgentService(store, credentials)
        preferences = PreferenceService(store)
        presence = Presence(store, kind=kind)
        function = _function(settings)
        breaker = None if function is None else CircuitBreaker(f"{function.target.function} on AWS Lambda")
        on_lambda = None
        if function is not None and breaker is not None:
            preferred = settings.use_lambda_for_agent_execution
            near = is_this_machine(settings.aws_endpoint_url_lambda or "")
            on_lambda = LambdaRoute(executor=function, breaker=breaker, preferred=preferred, near=near)
        runs = RunService(
            store=store,
            executor=LocalExecutor(),
            on_lambda=on_lambda,
            credentials=credentials,
            prices=prices,
            presence=presence,
            default_timeout_seconds=settings.run_timeout_seconds,
            max_concurrency=settings.max_concurrency,
        )
        return cls(
            settings=settings,
            store=store,
            vault=vault,
            presence=presence,
            runs=runs,
            exports=ExportService(runs, settings.data_dir / "exports"),
            agents=agents,
            credentials=credentials,
            prices=prices,
            costs=CostGuidanceService(
                store, agents=agents, credentials=credentials, prices=prices, preferences=preferences
            ),
            usage=UsageService(store),
            lambda_usage=LambdaUsageService(store),
            preferences=preferences,
            health=HealthService(settings, store, vault, credentials, prices),
            installation=InstallationService(settings, store, vault, credentials),
            housekeeping=Housekeeping(store, settle=runs.settle, presence=presence),
            lambda_executor=function,
            lambda_breaker=breaker,
        )

    @cached_property
    def logs(self) -> "LogService":
        """The logs; made when they are first asked for, as most commands never do."""
        from core.services.logs import LogService

        return LogService(self.settings)

    def close(self) -> None:
        """Stops what is under way, signs off and closes the store."""
        kept_house = self.housekeeping.stop()
        self.exports.close()
        self.runs.close()
        if self.lambda_executor is not None:
            self.lambda_executor.close()
        if "logs" in self.__dict__:
            self.logs.close()
        if not kept_house:
            # A user of commands alone has no process that stays: each does a little for those before it.
            self.housekeeping.once()
        self.presence.leave()
        self.store.close()


def _function(settings: Settings) -> "LambdaExecutor | None":
    if settings.lambda_agent_function_name is None:
        return None
    from core.execution.aws_lambda import LambdaExecutor, LambdaTarget

    target = LambdaTarget(
        function=settings.lambda_agent_function_name,
        region=settings.aws_lambda_region,
        endpoint_url=settings.aws_endpoint_url_lambda,
        max_concurrency=settings.max_concurrency,
    )
    return LambdaExecutor(target)


def demo_agents_file() -> Path:
    """The two demo agents that a new installation starts with."""
    return Path(__file__).parents[2] / "data" / "demo" / "agents.yaml"
