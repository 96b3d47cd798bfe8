# SPDX-License-Identifier: MIT
"""quantllm bench: the rows, the fields, the three forms. Speeds themselves are not judged here."""
import csv
import io
import json
import re

import pytest

from conftest import error_line

FIELDS = ("version cpu_info isa kv_cache model_filename model_type model_size model_n_params n_threads n_prompt n_gen "
          "n_depth n_seqs "
          "test_time avg_ns stddev_ns avg_ts stddev_ts gb_per_s read_bandwidth_gb_s bandwidth_fraction "
          "huge_page_bandwidth_gb_s weight_mapping huge_page_fraction gmac_per_s kernel_gmac_per_s kernel_fraction "
          "dot_gmac_per_s dot_fraction roofline_bound roofline_fraction "
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
        check_roofline(row)


def check_roofline(row):
    """The arithmetic of the limits, from the row's own figures."""
    decode = row["n_gen"] > 0
    assert row["weight_mapping"] in ("anonymous", "file") and 0 <= row["huge_page_fraction"] <= 1
    assert row["huge_page_bandwidth_gb_s"] > 0.1 and row["kernel_gmac_per_s"] > 0.01 and row["gmac_per_s"] > 0
    assert (row["gb_per_s"] is None) == (row["bandwidth_fraction"] is None) == (not decode)
    assert (row["kernel_fraction"] is None) == decode
    no_dots = row["isa"] == "scalar" or row["model_type"].endswith("F32")
    assert (row["dot_gmac_per_s"] is None) == no_dots
    assert (row["dot_fraction"] is None) == (decode or no_dots)
    if decode:
        steps = row["avg_ts"] / row["n_seqs"]
        assert row["gb_per_s"] == pytest.approx(row["bytes_per_token"] * steps / 1e9)
        assert row["bandwidth_fraction"] == pytest.approx(row["gb_per_s"] / row["read_bandwidth_gb_s"])
    else:
        assert row["kernel_fraction"] == pytest.approx(row["gmac_per_s"] / row["kernel_gmac_per_s"])
    of_kernels = row["gmac_per_s"] / row["kernel_gmac_per_s"]
    if row["roofline_bound"] == "kernels":
        assert row["roofline_fraction"] == pytest.approx(of_kernels)
    else:
        assert row["roofline_bound"] == "memory" and row["roofline_fraction"] >= of_kernels
        assert not decode or row["roofline_fraction"] == pytest.approx(row["bandwidth_fraction"])


def test_multiply_adds_of_a_known_model(command, tiny):
    """A prompt of N tokens multiplies with every matrix of the layers N times, and with the output once."""
    info = json.loads(command("show", tiny, "--json").stdout)["info"]
    rows = json.loads(command("bench", tiny, "-p", "8", "-n", "3", "-r", "1", "-t", "1", "-q", "-o", "json").stdout)
    prompt, decode = rows
    per_prompt_token = prompt["gmac_per_s"] * 1e9 / prompt["avg_ts"]
    per_new_token = decode["gmac_per_s"] * 1e9 / decode["avg_ts"]
    output = info["n_vocab"] * info["n_embd"]
    assert per_new_token - per_prompt_token == pytest.approx(output * 7 / 8, rel=1e-6)
    norms = (2 * info["n_layers"] + 1) * info["n_embd"]
    assert per_new_token == pytest.approx(info["parameters"] - norms, rel=1e-6)  # tied: the embedding is the output


def test_batch(command, tiny):
    result = command("bench", tiny, "-p", "4", "-n", "3", "-b", "1,8", "-d", "0,6", "-r", "1", "-t", "1", "-q", "-o", "json")
    assert result.returncode == 0, result
    rows = json.loads(result.stdout)
    assert [(row["n_prompt"], row["n_gen"], row["n_seqs"], row["n_depth"]) for row in rows] == [
        (4, 0, 1, 0), (0, 3, 1, 0), (0, 3, 8, 0), (4, 0, 1, 6), (0, 3, 1, 6), (0, 3, 8, 6)]
    for row in rows:
        check_roofline(row)
        tokens = row["n_prompt"] or row["n_gen"] * row["n_seqs"]
        assert row["samples_ts"][0] == pytest.approx(tokens / (row["samples_ns"][0] * 1e-9), rel=1e-2)
    text = command("bench", tiny, "-p", "0", "-n", "3", "-b", "2", "-d", "6", "-r", "1", "-q").stdout.decode()
    assert " tg3 x 2 @ d6 |" in text


@pytest.mark.parametrize("value, words", [("0", "has 0; 1 to 8"), ("1,9", "has 9; 1 to 8"), ("two", "is not"), ("", "is not")])
def test_batch_out_of_range(command, tiny, value, words):
    result = command("bench", tiny, "-b", value)
    message = error_line(result, 64)
    assert message.startswith("--batch: ") and words in message


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
    rows = [line for line in lines[2:]]
    assert all(re.search(r"\| +\d+ % of (memory|kernels) \|$", line) for line in rows), text
    for word in ("decode reads", "memory reads", "on huge pages)", "huge pages ", "prompt ", "kernels ", "peak memory", "load"):
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
    assert all(row[k] is None for k in ("read_bandwidth_gb_s", "bandwidth_fraction", "weight_mapping", "gmac_per_s", "roofline_bound"))
    assert row["gb_per_s"] > 0
    assert "memory reads" not in command("bench", tiny, *options).stdout.decode()
