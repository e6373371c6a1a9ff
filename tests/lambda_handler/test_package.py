"""What is deployed: its size, content and bytes. `.ci/lambda-package --wheels-only` fetched the wheels before."""

import json
import marshal
import os
import platform
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from core.code_version import THIN_PART, code_version, thin_files
from lambda_handler.scripts import bytecode, staging
from lambda_handler.scripts.archive import files_in, write_zip
from lambda_handler.scripts.package import MAX_UNZIPPED_BYTES, Package, build, main
from lambda_handler.scripts.problems import ScriptError
from lambda_handler.scripts.staging import FORBIDDEN, Architecture, Target
from tests.support.environment import ROOT
from tests.support.require import require

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
MINE: Architecture = "arm64" if platform.machine().lower() in {"aarch64", "arm64"} else "x86_64"


@dataclass(frozen=True)
class Built:
    package: Package
    folder: Path
    archive: Path


@pytest.fixture(scope="module")
def uv() -> str:
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    found = str(own) if own.exists() else shutil.which("uv")
    return require(found, what="uv", remedy="make test installs it")


@pytest.fixture(scope="module")
def make(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Built]:
    def made(architecture: Architecture, *plugins: str) -> Built:
        target = Target(architecture=architecture, python=HERE, plugins=plugins)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(bytecode.VARIABLE, sys.executable)
            patch.setenv("UV_OFFLINE", "1")
            folder = tmp_path_factory.mktemp("package")
            package = build(target, uv=uv, folder=folder / architecture, archive=folder / "function.zip")
        return Built(package, folder / architecture, folder / "function.zip")

    return made


@pytest.fixture(scope="module")
def built(make: Callable[..., Built]) -> Built:
    return make(MINE)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, empty so far, that stands for the installed wheels of every target."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setattr(staging, "installed_wheels", lambda target, *, uv: folder)
    return folder


@pytest.mark.slow
def test_the_same_sources_give_the_same_bytes(built: Built, make: Callable[..., Built]) -> None:
    again = make(MINE)
    assert again.package == built.package
    assert again.archive.read_bytes() == built.archive.read_bytes()


@pytest.mark.slow
def test_its_size_with_bytecode_is_within_the_limit(built: Built, make: Callable[..., Built]) -> None:
    (other,) = [name for name in get_args(Architecture) if name != MINE]
    for package in (built.package, make(other).package):
        assert package.bytecode
        assert package.unzipped_bytes <= MAX_UNZIPPED_BYTES
        assert package.zipped_bytes < 50_000_000, "more cannot be uploaded directly"


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import json
from lambda_handler.handler import handle
answer = handle({"provider": "DEMO", "model_name": "demo-echo", "prompt": "Alone?"})
for name in ("anthropic", "google.genai", "ollama", "openai"):
    __import__(name)
outside = [
    module.__file__ for module in list(sys.modules.values())
    if getattr(module, "__file__", None) and "site-packages" in module.__file__
]
print(json.dumps({"answer": answer, "outside": outside}))
"""


def run_alone(folder: Path) -> Any:
    # Not the environment's interpreter, which would find the environment.
    interpreter = os.path.realpath(sys.executable)
    done = subprocess.run(
        [interpreter, "-I", "-S", "-W", "ignore", "-c", PROGRAM, str(folder)],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_it_answers_in_an_interpreter_that_has_nothing_else(built: Built) -> None:
    found = run_alone(built.folder)
    assert found["answer"]["response"].startswith('You asked: "Alone?"')
    assert found["outside"] == []


@pytest.mark.slow
def test_nothing_is_in_it_that_does_not_belong_there(built: Built) -> None:
    names = {path.relative_to(built.folder).as_posix() for path in files_in(built.folder)}
    tops = {name.partition("/")[0].removesuffix(".py") for name in names}
    assert tops.isdisjoint(FORBIDDEN)
    assert {
        name for name in names if name.startswith(("core/", "lambda_handler/")) and name.endswith(".py")
    } == set(thin_files())
    assert not [
        name for name in names if name.endswith((".pyi", "/RECORD", "/INSTALLER")) or name.startswith("bin/")
    ]
    assert [name for name in names if "/licenses/" in name], "the licences go with the code"


@pytest.mark.slow
def test_bytecode_names_no_folder_of_this_machine_and_is_not_compared_with_its_source(built: Built) -> None:
    (compiled,) = (built.folder / "core" / "__pycache__").glob("contract.*.pyc")
    content = compiled.read_bytes()
    assert int.from_bytes(content[4:8], "little") == 1, "hash-based and unchecked"
    code = marshal.loads(content[16:])
    assert code.co_filename == "core/contract.py"


@pytest.mark.slow
def test_its_version_is_that_of_the_checkout(built: Built) -> None:
    assert built.package.code_version == code_version() == code_version(built.folder)


@pytest.mark.slow
def test_a_plug_in_is_packed_in(make: Callable[..., Built], tmp_path: Path) -> None:
    wheel = tmp_path / "echo_plugin-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr(
            "echo_plugin.py",
            "from dataclasses import replace\nfrom core.providers.rows_demo import DEMO\n"
            "ECHO = replace(DEMO, name='ECHO', label='Echo')\n",
        )
        info = "echo_plugin-1.0.dist-info"
        # It depends on us, as a plug-in does, and must not bring the dashboard with it.
        packed.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: echo-plugin\nVersion: 1.0\nRequires-Dist: agent-launcher\n",
        )
        packed.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr(f"{info}/entry_points.txt", "[agent_launcher.providers]\necho = echo_plugin:ECHO\n")
        packed.writestr(f"{info}/RECORD", "")
    with_it = make(MINE, str(wheel))
    program = PROGRAM.replace('"DEMO"', '"ECHO"')
    assert program != PROGRAM
    done = subprocess.run(
        [os.path.realpath(sys.executable), "-I", "-S", "-W", "ignore", "-c", program, str(with_it.folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["answer"]["provider"] == "ECHO"
    assert json.loads(done.stdout)["answer"]["response"]


def test_a_package_that_has_no_place_there_is_refused(uv: str, tmp_path: Path, wheels: Path) -> None:
    (wheels / "pandas").mkdir()
    (wheels / "pandas" / "__init__.py").touch()
    with pytest.raises(ScriptError, match="would hold pandas"):
        staging.stage(Target(architecture=MINE, python=HERE), tmp_path / "out", uv=uv)


@pytest.mark.usefixtures("wheels")
def test_without_the_targets_python_it_is_built_without_bytecode(
    uv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lambda_handler.scripts.package.find_interpreter", lambda python, *, uv: None)
    assert main(["--python", "3.14", "--output", str(tmp_path / "out"), "--uv", uv]) == 0
    assert "no Python 3.14 was found" in capsys.readouterr().err
    built = json.loads((tmp_path / "out" / "function.json").read_text())
    assert built["bytecode"] is False
    assert not [
        name for name in zipfile.ZipFile(tmp_path / "out" / "function.zip").namelist() if ".pyc" in name
    ]


@pytest.mark.usefixtures("wheels")
def test_one_that_grew_too_large_is_refused(
    uv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lambda_handler.scripts.package.find_interpreter", lambda python, *, uv: None)
    monkeypatch.setattr("lambda_handler.scripts.package.MAX_UNZIPPED_BYTES", 1000)
    assert main(["--output", str(tmp_path / "out"), "--uv", uv]) == 1
    assert "the limit is 0 MB. Look for what grew" in capsys.readouterr().err


def test_a_plug_in_that_is_not_there(uv: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = Target(architecture=MINE, python=HERE, plugins=(str(tmp_path / "nowhere"),))
    with pytest.raises(ScriptError, match="no such folder or wheel"):
        staging.installed_wheels(target, uv=uv)


def test_a_zip_is_of_its_content_only(tmp_path: Path) -> None:
    hashes: list[str] = []
    for number, names in enumerate((["a.py", "b/c.so"], ["b/c.so", "a.py"])):
        folder = tmp_path / str(number)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
            (folder / name).chmod(0o600 if number else 0o666)
            os.utime(folder / name, (number * 10**9, number * 10**9))
        hashes.append(write_zip(folder, tmp_path / f"{number}.zip"))
    assert hashes[0] == hashes[1]
    modes = {
        info.filename: info.external_attr >> 16 for info in zipfile.ZipFile(tmp_path / "0.zip").infolist()
    }
    assert modes == {"a.py": 0o100644, "b/c.so": 0o100755}


# Which code it is.


def test_the_thin_part_is_the_one_that_the_linter_keeps_thin() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (thin,) = [contract for contract in contracts if contract["id"] == "thin-part"]
    shipped = {
        pattern.removesuffix("/*.py").removesuffix(".py").replace("/", ".")
        for pattern in THIN_PART
        if pattern != "core/__init__.py"
    }
    assert shipped == set(thin["source_modules"])


def test_every_change_of_the_thin_part_or_of_the_lock_is_another_version(tmp_path: Path) -> None:
    for name in [*thin_files(), "lambda_handler/requirements.lock"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    assert code_version(tmp_path) == code_version()
    seen = {code_version(tmp_path)}
    for name in ("core/contract.py", "core/providers/demo.py", "lambda_handler/requirements.lock"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "# changed\n")
        seen.add(code_version(tmp_path))
    (tmp_path / "core" / "settings.py").write_text("is not shipped")
    seen.add(code_version(tmp_path))
    assert len(seen) == 4
