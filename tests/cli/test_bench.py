# SPDX-License-Identifier: MIT
"""quantllm bench: the rows, the fields, the three forms. Speeds themselves are not judged here."""
import csv
import io
import json

import pytest

FIELDS = ("version cpu_info isa kv_cache model_filename model_type model_size model_n_params n_threads n_prompt n_gen "
          "n_depth "
          "test_time avg_ns stddev_ns avg_ts stddev_ts gb_per_s read_bandwidth_gb_s bandwidth_fraction "
          "bytes_per_token peak_memory_bytes load_seconds from_cache").split()
SMALL = ["-p", "4,8", "-n", "3", "-d", "0,5", "-r", "2", "-t", "1", "-q"]
ROWS = [(4, 0, 0), (8, 0, 0), (0, 3, 0), (4, 0, 5), (8, 0, 5), (0, 3, 5)]


def test_json(command, tiny):
    result = command("bench", tiny, *SMALL, "-o", "json")
    assert result.returncode == 0 and result.stderr == b"", result
    rows = json.loads(result.stdout)
    assert [(row["n_prompt"], row["n_gen"], row["n_depth"]) for row in rows] == ROWS
    for row in rows:
        assert set(FIELDS) <= set(row)
        assert len(row["samples_ns"]) == len(row["samples_ts"]) == 2
        assert abs(sum(row["samples_ts"]) / 2 - row["avg_ts"]) <= 1e-6 * row["avg_ts"]
        tokens = row["n_prompt"] or row["n_gen"]
        for ns, rate in zip(row["samples_ns"], row["samples_ts"]):
            assert abs(tokens / (ns * 1e-9) - rate) <= 1e-2 * rate
        assert row["n_threads"] == 1 and row["avg_ts"] > 0 and row["load_seconds"] > 0
        assert 0 < row["peak_memory_bytes"] < 250 << 20  # the bandwidth's buffer is not in it
        assert row["read_bandwidth_gb_s"] > 0.1
        assert (row["gb_per_s"] is None) == (row["n_gen"] == 0)


def test_csv_has_the_same_columns(command, tiny):
    result = command("bench", tiny, "-p", "4", "-n", "3", "-r", "1", "-t", "1", "--fast", "-q", "-o", "csv")
    assert result.returncode == 0
    rows = list(csv.reader(io.StringIO(result.stdout.decode())))
    assert rows[0] == FIELDS and len(rows) == 3
    assert all(len(row) == len(FIELDS) for row in rows)


def test_md(command, tiny):
    result = command("bench", tiny, *SMALL)
    text = result.stdout.decode()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(ROWS)
    assert len({len(line) for line in lines}) == 1  # a straight table
    assert " pp4 |" in text and "pp8 @ d5" in text and "tg3 @ d5" in text and "±" in text
    for word in ("memory reads", "peak memory", "load"):
        assert word in text


@pytest.mark.slow  # 10,000 tokens
def test_md_is_straight_with_wide_cells(command, tiny):
    text = command("bench", tiny, "-p", "1000", "-n", "0", "-d", "0,10000", "-r", "1", "--fast", "-q").stdout.decode()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4 and "pp1000 @ d10000 |" in text
    assert len({len(line) for line in lines}) == 1
    assert all(a == "|" for line in lines for a, b in zip(line, lines[0]) if b == "|")


def test_one_kind_of_test_alone(command, tiny):
    rows = json.loads(command("bench", tiny, "-p", "0", "-n", "2", "-r", "1", "--fast", "-q", "-o", "json").stdout)
    assert [(row["n_prompt"], row["n_gen"]) for row in rows] == [(0, 2)]


def test_fast_measures_no_bandwidth(command, tiny):
    options = ["-p", "0", "-n", "2", "-r", "1", "--fast", "-q"]
    (row,) = json.loads(command("bench", tiny, *options, "-o", "json").stdout)
    assert row["read_bandwidth_gb_s"] is None and row["bandwidth_fraction"] is None and row["gb_per_s"] > 0
    assert "memory reads" not in command("bench", tiny, *options).stdout.decode()
