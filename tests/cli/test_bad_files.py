# SPDX-License-Identifier: MIT
"""Files that break a rule: one line that names the file, exit code 65, from each verb."""
import pathlib
import sys

import pytest

from conftest import error_line

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))
import make_bad_folder


@pytest.mark.parametrize("number", range(1, 40))
def test_bad_file(command, make_tiny, number):
    path = make_tiny(f"bad{number:02}.gguf", "--bad", f"{number:02}")
    result = command("run", path, "Hello", "-q", "--greedy", "--max-new-tokens", "2")
    line = error_line(result, 65)
    assert line.startswith(f"{path}: "), line
    assert error_line(command("chat", path, "-q"), 65) == line


@pytest.mark.parametrize("number", make_bad_folder.MESSAGES)
def test_bad_folder(command, tmp_path, number):
    make_bad_folder.make(tmp_path / "model", number)
    line = error_line(command("run", tmp_path / "model", "Hello", "-q"), 1 if number == 49 else 65)
    assert line.startswith(f"{tmp_path}/model") and make_bad_folder.MESSAGES[number] in line, line
