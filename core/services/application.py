"""The core, wired: what the dashboard, the command line, the API and `lambda_service` all hold one of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from core.execution.breaker import CircuitBreaker
from core.execution.fallback import LambdaRoute
from core.execution.local import LocalExecutor
from core.security.vault import Vault
from core.services.agents import AgentService
from core.services.cost_guidance import CostGuidanceService
from core.services.credentials import CredentialService
from core.services.export_jobs import ExportService
from core.services.health import HealthService
from core.services.housekeeping import Housekeeping
from core.services.installation import InstallationService
from core.services.preferences import PreferenceService
from core.services.presence import Presence
from core.services.prices import PriceService
from core.services.runs import RunService
from core.services.usage import UsageService
from core.settings import Settings, ensure_data_dir
from core.storage.store import Store


@dataclass(frozen=True, kw_only=True)
class Application:
    """All services of one process, over one store.

    Attributes:
        lambda_breaker: What keeps this process's runs from AWS Lambda while it is down; None if it is not set up.
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
    preferences: PreferenceService
    health: HealthService
    installation: InstallationService
    housekeeping: Housekeeping
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
        on_lambda = _lambda_route(settings)
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
            preferences=preferences,
            health=HealthService(settings, store, vault, credentials, prices),
            installation=InstallationService(settings, store, vault, credentials),
            housekeeping=Housekeeping(store, settle=runs.settle, presence=presence),
            lambda_breaker=None if on_lambda is None else on_lambda.breaker,
        )

    def close(self) -> None:
        """Stops what is under way, signs off and closes the store."""
        kept_house = self.housekeeping.stop()
        self.exports.close()
        self.runs.close()
        if not kept_house:
            # A user of commands alone has no process that stays: each does a little for those before it.
            self.housekeeping.once()
        self.presence.leave()
        self.store.close()


def _lambda_route(settings: Settings) -> LambdaRoute | None:
    function = settings.lambda_agent_function_name
    if function is None:
        return None
    from core.execution.aws_lambda import LambdaExecutor, LambdaTarget

    target = LambdaTarget(
        function=function,
        region=settings.aws_lambda_region,
        endpoint_url=settings.aws_endpoint_url_lambda,
        max_concurrency=settings.max_concurrency,
    )
    return LambdaRoute(
        executor=LambdaExecutor(target),
        breaker=CircuitBreaker(f"the function {function} on AWS Lambda"),
        preferred=settings.use_lambda_for_agent_execution,
    )


def demo_agents_file() -> Path:
    """The two demo agents that a new installation starts with."""
    return Path(__file__).parents[2] / "data" / "demo" / "agents.yaml"
