# SPDX-License-Identifier: MIT
"""quantllm doctor: one screen, the same facts as JSON, and what the system says of the same things."""
import json
import os
import re
import resource
import subprocess

import pytest

import quantllm
from conftest import error_line


@pytest.fixture
def doctor(command, tmp_path):
    def call(*args, **options):
        env = {**os.environ, "QUANTLLM_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "hf"), **options.pop("env", {})}
        done = command("doctor", *args, env=env, **options)
        assert done.returncode == 0 and done.stderr == b"", done
        return done.stdout.decode()

    return call


def facts(doctor, **options):
    return json.loads(doctor("--json", "--fast", **options))


def test_one_screen(doctor):
    lines = doctor().splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 100
    labels = [line[:14].strip() for line in lines if line[:14].strip()]
    assert labels == ["quantllm", "system", "cpu", "level", "threads", "memory", "bandwidth", "Hub cache", "packed cache", "advice"]


def test_long_names_stay_on_the_screen(doctor):
    lines = doctor("--fast", env={"QUANTLLM_CACHE": "/x" + "/long" * 60, "QUANTLLM_ISA": "scalar"}).splitlines()
    assert max(map(len, lines)) <= 100 and len(lines) <= 40


def test_the_system_says_the_same(doctor):
    found = facts(doctor)
    with open("/proc/meminfo") as file:
        total = int(re.search(r"MemTotal:\s+(\d+)", file.read())[1]) * 1024
    with open("/proc/cpuinfo") as file:
        flags = set(re.search(r"^flags\s*:(.*)", file.read(), re.M)[1].split())
    assert found["memory"]["total"] == total and 0 < found["memory"]["available"] <= total
    there = {level["level"]: level["there"] for level in found["cpu"]["levels"]}
    assert there["scalar"] and there["avx2"] == ({"avx2", "fma", "f16c"} <= flags)
    assert there["avx512"] == ({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"} <= flags)
    assert found["threads"]["allowed"] == len(os.sched_getaffinity(0))
    assert found["threads"]["default"] <= found["threads"]["cores"] <= found["threads"]["allowed"]
    assert found["bandwidth"] is None and found["hub"]["models"] == 0


def test_bandwidth(doctor):
    assert json.loads(doctor("--json"))["bandwidth"] > 1e8


def test_python_says_the_same(doctor, monkeypatch, tmp_path):
    monkeypatch.setenv("QUANTLLM_CACHE", str(tmp_path / "cache"))
    mine, theirs = quantllm.doctor(measure=False), facts(doctor)
    for key in ("cpu", "threads", "versions"):
        assert mine[key] == theirs[key]
    assert mine["memory"]["total"] == theirs["memory"]["total"] and mine["python"]["version"]
    assert quantllm.doctor()["bandwidth"] > 1e8


# ---- advice ----


def test_a_level_that_is_kept_away(doctor):
    found = facts(doctor, env={"QUANTLLM_ISA": "scalar"})
    assert found["cpu"]["level"] == found["cpu"]["cap"] == "scalar"
    if any(level["there"] for level in found["cpu"]["levels"][1:]):
        assert any("QUANTLLM_ISA=scalar keeps" in line for line in found["advice"])
    wrong = facts(doctor, env={"QUANTLLM_ISA": "sse9"})
    assert wrong["cpu"]["level"] is None and any('QUANTLLM_ISA is "sse9": no model will load' in line for line in wrong["advice"])


def test_affinity(doctor):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("one CPU is allowed: there is none to take away")
    found = facts(doctor, preexec_fn=lambda: os.sched_setaffinity(0, cpus[:1]))
    assert found["threads"]["default"] == found["threads"]["allowed"] == 1
    assert any("affinity allows 1 of" in line for line in found["advice"])


def test_ulimit(doctor, command):
    if b"__asan_init" in open(command.path, "rb").read():
        pytest.skip("a sanitizer takes more address space than any limit")
    limit = 4 << 30
    found = facts(doctor, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert 3 << 30 < found["memory"]["address_space"] < limit
    if found["memory"]["machine"] > limit:
        assert found["memory"]["available"] == found["memory"]["address_space"]
        assert any("ulimit -v leaves" in line for line in found["advice"])


def test_no_cache(doctor):
    found = facts(doctor, env={"QUANTLLM_CACHE": "off"})
    assert found["packed_cache"] is None and any("packed weights is off" in line for line in found["advice"])
    assert "packed cache  off\n" in doctor("--fast", env={"QUANTLLM_CACHE": "off"})


def test_offline(doctor):
    assert any("HF_HUB_OFFLINE is set" in line for line in facts(doctor, env={"HF_HUB_OFFLINE": "1"})["advice"])


def test_cgroups(command, tmp_path):
    """Files of a cgroup made for the occasion: half a core more than one, 2 GiB of memory."""
    script = """mount -t tmpfs quantllm-test /sys/fs/cgroup && cd /sys/fs/cgroup && echo 50000 100000 >cpu.max &&
        echo 2147483648 >memory.max && echo 1073741824 >memory.current && exec "$@\""""
    if not any(line.startswith("0::") for line in open("/proc/self/cgroup")):
        pytest.skip("no cgroups of version 2")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *command.argv("doctor", "--json", "--fast")],
                          capture_output=True)
    if done.returncode != 0 and b"quantllm" not in done.stdout:
        pytest.skip("can not make a mount namespace")
    found = json.loads(done.stdout)
    assert found["threads"]["quota"] == 0.5 and found["threads"]["default"] == 1
    assert found["memory"]["cgroup"] == 1 << 30
    if found["memory"]["machine"] > 4 << 30:
        assert any("a cgroup leaves 1.00 GiB of" in line for line in found["advice"])


def test_usage(command):
    assert error_line(command("doctor", "model"), 64) == "doctor takes no model; quantllm verify model looks at one"
    assert b"Say what models will meet" in command("doctor", "--help").stdout
