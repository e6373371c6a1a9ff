#!/usr/bin/env python3
"""Asks every provider that has a key one short question, here and, with --lambda, on the deployed function; one table.

    .venv/bin/python lambda_handler/scripts/test_multi_provider.py [--lambda] [--provider OPENAI]...

It asks the real vendors, which bill for some twenty tokens each. Nothing is stored. Keys come from where runs have
them: Settings > Credentials, the environment, `.env`. Which function is asked, the settings say (docs/lambda.md).
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Final

try:
    from rich.console import Console
    from rich.table import Table

    from core.errors import OperatorError
    from core.lambda_service import lambda_agent_service
    from core.providers import registry
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing.name} is not installed in {sys.executable}. Run make setup, then .venv/bin/python {sys.argv[0]}"
    )

PROMPT: Final = "Answer with one word: are you ready?"
_NOT_CONFIGURED: Final = frozenset({"MISSING_API_KEY"})


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 if every configured provider answered everywhere."""
    options = _parser().parse_args(arguments)
    specs = registry.specs()
    unknown = [name for name in options.providers if name not in specs]
    if unknown:
        sys.stderr.write(f"Unknown provider {', '.join(unknown)}: use some of {', '.join(specs)}.\n")
        return 2
    table = Table(title="Providers", title_justify="left")
    for column in ("provider", "model", "where", "result", "seconds", "tokens", "USD"):
        table.add_column(column, overflow="fold")
    failed = False
    for name in options.providers or specs:
        model = options.models.get(name) or specs[name].first_model
        for backend in ("LOCAL", "LAMBDA") if options.on_lambda else ("LOCAL",):
            try:
                answer = lambda_agent_service.invoke_agent(
                    provider=name, model_name=model, prompt=options.prompt, backend=backend, store=False
                )
            except OperatorError as error:
                sys.stderr.write(f"{error}\n")
                return 1
            row, bad = _row(answer)
            failed = failed or bad
            table.add_row(name, model, backend.lower(), *row)
    Console().print(table)
    return 1 if failed else 0


def _row(answer: dict[str, Any]) -> tuple[list[str], bool]:
    error = answer.get("error")
    usage = answer.get("token_usage")
    tokens = "unknown" if usage is None else f"{usage['input_tokens']} + {usage['output_tokens']}"
    cost = answer.get("cost_usd")
    if error is None:
        text = " ".join((answer.get("response") or "").split())
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        return [shown, f"{answer['execution_time_seconds']:.2f}", tokens, cost or "unknown"], False
    if error["code"] in _NOT_CONFIGURED:
        return ["no key: not asked", "", "", ""], False
    return [f"{error['code']}: {error['message']}", f"{answer['execution_time_seconds']:.2f}", "", ""], True


def _parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="test_multi_provider.py", description=summary)
    parser.add_argument(
        "--lambda", dest="on_lambda", action="store_true", help="on the deployed function, too"
    )
    parser.add_argument(
        "--provider",
        dest="providers",
        action="append",
        default=[],
        metavar="NAME",
        help="only this one; again for more",
    )
    parser.add_argument(
        "--model",
        dest="models",
        action=_ModelOf,
        default={},
        metavar="PROVIDER=MODEL",
        help="instead of the first one",
    )
    parser.add_argument("--prompt", default=PROMPT, help=f"default: {PROMPT!r}")
    return parser


class _ModelOf(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None
    ) -> None:
        name, equals, model = str(values).partition("=")
        if not equals or not model:
            parser.error(f"{option_string} takes PROVIDER=MODEL, such as OPENAI=gpt-5-mini")
        namespace.models = {**namespace.models, name: model}


if __name__ == "__main__":
    sys.exit(main())
