"""Set-up scripts, locks and what may be in a tracked file. Nothing here needs a network."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.environment import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-dev.lock", ".ci/uv.txt")


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def tracked_texts() -> dict[str, str]:
    texts: dict[str, str] = {}
    for path in tracked_files():
        try:
            texts[str(path.relative_to(ROOT))] = path.read_text()
        except UnicodeDecodeError:
            continue  # a picture
    return texts


def pins(lock: str) -> dict[str, list[str]]:
    """The versions of each package; two where a newer one has left an older Python behind."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


# Locks.


def requirements(lock: str) -> list[str]:
    groups = PYPROJECT["dependency-groups"]
    wanted = [*PYPROJECT["project"]["dependencies"], *groups["build"]]
    return wanted if lock == "requirements.lock" else [*wanted, *groups["dev"]]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_requirement_is_locked_in_a_version_that_fits(lock: str) -> None:
    locked = pins(lock)
    for requirement in map(Requirement, requirements(lock)):
        versions = locked.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement} is not in {lock}: make lock"
        for version in versions:
            assert requirement.specifier.contains(version), (
                f"{lock} has {requirement.name} {version}: make lock"
            )


def test_both_locks_agree() -> None:
    dev = pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in pins("requirements.lock")} == pins("requirements.lock")


def test_the_build_backend_is_locked_in_a_version_that_fits() -> None:
    [backend] = map(Requirement, PYPROJECT["build-system"]["requires"])
    assert all(map(backend.specifier.contains, pins("requirements.lock")[backend.name]))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_lock_names_an_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    assert len(blocks) == sum(map(len, pins(lock).values()))
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert "--index" not in text


def test_the_npm_lock_pins_by_hash_and_names_no_address() -> None:
    text = (ROOT / "tests/support/aimock/package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    wanted = json.loads((ROOT / "tests/support/aimock/package.json").read_text())["dependencies"]
    assert packages[""]["dependencies"] == wanted
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values()), "pinned, not a range"
    assert all("integrity" in package for name, package in packages.items() if name)
    assert "://" not in text
    assert "resolved" not in text


def test_the_project_is_installed_from_this_checkout() -> None:
    # Not simply by name: setuptools leaves an egg-info in the checkout, which the tests have on their path.
    [installed] = distributions(name="agent-launcher", path=[sysconfig.get_path("purelib")])
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    assert origin["dir_info"] == {"editable": True}
    assert origin["url"] == ROOT.as_uri()
    assert Path(sys.executable).with_name("agent-launcher").exists()


# The thin part.


def test_the_thin_part_is_closed_to_every_dependency_but_its_own() -> None:
    """The contract lists what is forbidden; a dependency that is added must be on that list."""
    [contract] = [c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["id"] == "thin-part"]
    names_of: dict[str, set[str]] = {}
    for module, owners in packages_distributions().items():
        for owner in owners:
            names_of.setdefault(canonicalize_name(owner), set()).add(module)
    allowed = {"pydantic", "httptools", "anthropic", "boto3", "google-genai", "ollama", "openai"}
    for requirement in map(Requirement, PYPROJECT["project"]["dependencies"]):
        if (name := canonicalize_name(requirement.name)) not in allowed:
            assert names_of[name] & set(contract["forbidden_modules"]), (
                f"{name} is not forbidden in the thin part"
            )


# Scripts.


def source_and_run(script: str, *, path: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", f". .ci/find-tools.sh; {script}"],
        cwd=ROOT,
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_a_python_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    program(tmp_path, "python3.12", f'exec {sys.executable} "$@"')
    done = source_and_run('find_python; echo "$python"', path=str(tmp_path))
    assert done.stdout.strip() == sys.executable, done.stderr


def test_without_a_new_enough_python_the_remedy_is_named(tmp_path: Path) -> None:
    # What an old Python answers when it is asked whether it is new enough.
    program(tmp_path, "python3", "exit 1")
    done = source_and_run("find_python", path=str(tmp_path))
    assert done.returncode == 1
    assert "no Python 3.11 or newer was found" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_python_that_was_asked_for_is_not_replaced_in_silence(tmp_path: Path) -> None:
    program(tmp_path, "python3", f'exec {sys.executable} "$@"')
    done = source_and_run("find_python", path=str(tmp_path), PYTHON="/nowhere/python3.12")
    assert done.returncode == 1
    assert "PYTHON=/nowhere/python3.12 does not run" in done.stderr


@pytest.mark.parametrize(
    ("version", "taken"), [("uv 0.13.9", True), ("uv 1.2.0", True), ("uv 0.4.30", False)]
)
def test_a_uv_on_the_path_is_taken_unless_it_is_old(tmp_path: Path, version: str, taken: bool) -> None:
    program(tmp_path, "uv", f"echo '{version} (a build)'")
    script = 'bootstrap_uv() { echo bootstrap; }; pass_pip_settings_to_uv() { :; }; find_uv; echo "$uv"'
    # In a folder without .tools, so that only PATH decides.
    done = source_and_run(f"cd '{tmp_path}'; {script}", path=f"{tmp_path}:/usr/bin:/bin")
    assert done.stdout.split() == (["uv"] if taken else ["bootstrap", ".tools/uv/bin/uv"])


def test_a_python_without_venv_and_pip_gives_the_remedy(tmp_path: Path) -> None:
    program(tmp_path, "python3", "exit 1")
    done = source_and_run(
        f"cd {tmp_path}; python={tmp_path}/python3; find_uv", path="/usr/bin:/bin", HOME=str(tmp_path)
    )
    assert done.returncode == 1
    assert "python3-venv" in done.stderr


def test_pip_settings_reach_uv(tmp_path: Path) -> None:
    program(tmp_path, "python3", 'test "$5" = global.cert || echo https://pip.example/simple')
    script = f'python={tmp_path}/python3; pass_pip_settings_to_uv; echo "$UV_DEFAULT_INDEX"'
    assert source_and_run(script, path="/bin").stdout.strip() == "https://pip.example/simple"
    own = source_and_run(script, path="/bin", UV_DEFAULT_INDEX="https://uv.example/simple")
    assert own.stdout.strip() == "https://uv.example/simple"


def test_set_up_rejects_an_unknown_profile() -> None:
    done = subprocess.run([ROOT / ".ci/setup", "everything"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "unknown profile 'everything'" in done.stderr


@pytest.mark.parametrize("script", ["run", "setup", "lock"])
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / ".ci" / script
    assert os.access(path, os.X_OK)
    shell = path.read_text().splitlines()[0].removeprefix("#!").split()
    subprocess.run([*shell, "-n", path], check=True)


def test_make_lists_its_targets() -> None:
    listing = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  make ([a-z-]+)", listing, re.MULTILINE))
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed == set(phony.split())


def test_ci_ends_with_pytests_closing_line_and_its_exit_code(tmp_path: Path) -> None:
    """`.ci/run` itself, with a `make` that prints what ours prints when a test fails."""
    closing = "==== 1 failed, 2 passed in 75.03s (0:01:15) ===="
    after_it = "make: *** [Makefile:31: test] Error 1"
    program(tmp_path, "make", f"test $1 = check && exit 0\necho '{closing}'\necho '{after_it}'\nexit 2")
    done = subprocess.run(
        [ROOT / ".ci/run"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == closing


# Tracked files.


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    places = re.compile(r"(?<![\w.:/-])(/home/\w|/root/|/Users/\w|/work/|/tmp/\w|[A-Z]:\\\\)")
    found = {
        f"{name}: {match[0]}"
        for name, text in tracked_texts().items()
        for match in places.finditer(text)
        if name != "tests/test_frame_setup.py"
    }
    assert not found


def test_nothing_private_or_generated_is_tracked() -> None:
    names = {str(path.relative_to(ROOT)) for path in tracked_files()}
    unwanted = re.compile(r"(^|/)(\.env|uv\.lock|node_modules/|__pycache__/|.*\.(pyc|db|db-wal|key))")
    assert not {name for name in names if unwanted.search(name)}
    top = {name.split("/")[0] for name in names if "/" in name}
    assert top <= {
        ".ci", ".streamlit", "benchmarks", "core", "dashboard", "data", "docs", "lambda_handler", "tests",
    }  # fmt: skip
