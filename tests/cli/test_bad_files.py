# SPDX-License-Identifier: MIT
"""Files that break a rule: one line that names the file, exit code 65, from each verb."""
import pytest

from conftest import error_line


@pytest.mark.parametrize("number", range(1, 40))
def test_bad_file(command, make_tiny, number):
    path = make_tiny(f"bad{number:02}.gguf", "--bad", f"{number:02}")
    result = command("run", path, "Hello", "-q", "--greedy", "--max-new-tokens", "2")
    line = error_line(result, 65)
    assert line.startswith(f"{path}: "), line
    assert error_line(command("chat", path, "-q"), 65) == line
