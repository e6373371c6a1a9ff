"""`docs/command-line.md` has a heading for each command, and only for those; its examples are real."""

import re
import shlex
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from dashboard.cli import app
from tests.cli.conftest import Cli
from tests.support.environment import ROOT

PAGE = (ROOT / "docs" / "command-line.md").read_text()
SECTIONS = dict(re.findall(r"^## (agent-launcher .*)\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE))


def commands() -> Iterator[tuple[str, TyperCommand]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            for below, leaf in command.commands.items():
                yield f"agent-launcher {name} {below}", leaf  # type: ignore[misc]
        else:
            yield f"agent-launcher {name}", command  # type: ignore[misc]


COMMANDS = dict(commands())


def test_each_command_has_its_heading_once() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert sorted(headings) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_that_a_section_names_exist(name: str) -> None:
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts} | {"--help"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", SECTIONS[name]))
    # A section may quote another command with its options.
    others = {o for other in COMMANDS.values() for p in other.params for o in p.opts}
    examples = " ".join(re.findall(r"`([^`]*)`", SECTIONS[name]))
    foreign = {
        option for option in named - known if option in others and re.search(rf"\w.*{option}", examples)
    }
    assert named - known - foreign - {"--oneline"} == set()


def test_every_command_says_what_it_does() -> None:
    for name, command in COMMANDS.items():
        assert command.help, name
        for parameter in command.params:
            if parameter.name != "help":
                assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_the_examples_are_understood(cli: Cli) -> None:
    lines = [
        line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
    ]
    calls = [shlex.split(line[line.index("agent-launcher") :].partition(" < ")[0]) for line in lines]
    assert len(calls) == 6
    for _, *arguments in calls:
        # Whatever they find on this empty installation, they are no wrong usage.
        assert cli(*arguments, input="text", code=None).exit_code in {0, 1}
