"""docs/adding-a-provider.md shows nothing but what the example has, and nothing that was not run."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.environment import ROOT
from tests.support.example_package import EXAMPLE, commands_of, leave_out_what_is_built
from tests.support.require import require

PAGE = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^(?:<!-- (\S+) -->\n)?```(\w+)\n(.*?)^```$", PAGE)
CODE = [(source, text) for source, language, text in BLOCKS if language in {"python", "toml"}]


def test_every_block_is_one_that_is_tested() -> None:
    assert {language for _, language, _ in BLOCKS} == {"text", "toml", "python", "sh"}
    assert len(CODE) >= 9


@pytest.mark.parametrize(("source", "text"), CODE, ids=[text.splitlines()[0].strip() for _, text in CODE])
def test_a_block_of_code_is_a_part_of_the_file_above_it(source: str, text: str) -> None:
    assert source, f"no file is named above {text!r}"
    assert text in (ROOT / source).read_text(encoding="utf-8")


def test_the_tree_names_each_file_of_the_example(tmp_path: Path) -> None:
    (tree,) = (text for _, language, text in BLOCKS if language == "text")
    named = {line.strip() for line in tree.splitlines() if not line.endswith("/")}
    source = shutil.copytree(EXAMPLE, tmp_path / "source", ignore=leave_out_what_is_built)
    assert named == {path.name for path in source.rglob("*") if path.is_file()}


def test_the_table_of_fields_names_fields() -> None:
    from core.providers.spec import ProviderSpec

    section = PAGE.partition("## 2. The row")[2].partition("## 3.")[0]
    rows = re.findall(r"(?m)^\| (`.*?`) \|", section)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) >= 10
    assert named <= set(ProviderSpec.__dataclass_fields__)


def test_the_installation_works_with_a_real_installer(tmp_path: Path, site: Path) -> None:
    (install,) = (command for command in commands_of(PAGE) if "install" in command)
    local = ".tools/uv/bin/uv"  # where `make setup` puts one that it did not find
    assert local in PAGE
    uv = require(
        shutil.which("uv") or shutil.which(ROOT / local), what="uv", remedy="make setup-dev installs it"
    )
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source, ignore=leave_out_what_is_built)
    words = [
        {"uv": uv, ".venv/bin/python": sys.executable, str(EXAMPLE): str(source)}.get(w, w) for w in install
    ]
    # Into a folder of its own, and from what is here: the tests reach no package index.
    kept = ["--target", str(tmp_path / "site"), "--no-deps", "--no-build-isolation", "--offline"]
    run([*words, *kept, "--cache-dir", str(tmp_path / "cache")], timeout_s=120)
    installed = {path.relative_to(tmp_path / "site") for path in (tmp_path / "site").rglob("*.py")}
    assert installed == {path.relative_to(site) for path in site.rglob("*.py")} != set()
