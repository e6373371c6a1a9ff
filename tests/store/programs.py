"""Starts the programs of `processes`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def start_program(*arguments: object) -> "subprocess.Popen[str]":
    """Starts one, by its name and arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.processes", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def result_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What it says at its end, which must be a good one."""
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(out)
