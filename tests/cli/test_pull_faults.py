# SPDX-License-Identifier: MIT
"""The download on a machine that fails on demand (tests/faults/fault_pull.c); QL_LONG: every call of every kind."""
import os
import pathlib
import subprocess

import pytest

from conftest import ROOT, WEIGHTS

NAME = "o/small"


def test_every_call_fails_once(hub, files, tmp_path):
    program = pathlib.Path(os.environ.get("QL_FAULT_PULL", ROOT / "build" / "tests" / "faults" / "fault_pull"))
    if not program.exists():
        pytest.skip(f"{program} is not built: meson -Dtests=true")
    folder = tmp_path / "served"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", WEIGHTS):
        (folder / name).write_bytes(files[name])
    hub.add(NAME, {path.name: path for path in folder.iterdir()})
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "QUANTLLM_HUB_RETRIES": "0"}
    done = subprocess.run([program, NAME, folder, *(["all"] if os.environ.get("QL_LONG") else [])], env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=1200)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert b" calls failed, 0 wrong" in done.stdout
