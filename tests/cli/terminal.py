# SPDX-License-Identifier: MIT
"""A program on a pseudo terminal, driven like a person does: type, wait until something is on the screen."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

CTRL_C = b"\x03"
CTRL_D = b"\x04"
ENTER = b"\r"
UP = b"\033[A"
PASTE_BEGIN = b"\033[200~"
PASTE_END = b"\033[201~"


class Terminal:
    """stdin, stdout and stderr are one terminal; stderr may be a pipe of its own."""

    def __init__(self, argv, env=None, stdin=None, rows=40, columns=100):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": "", **(env or {})}

        def take_terminal():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(argv, stdin=slave if stdin is None else stdin, stdout=slave, stderr=slave,
                                        env=environment, start_new_session=True, preexec_fn=take_terminal)
        os.close(slave)
        self.seen = b""  # everything that has been on the screen
        self.mark = 0    # where expect() goes on

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, timeout):
        """Takes what there is, waits at most timeout for it; False at the end."""
        if not select.select([self.master], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: the last program on the terminal has gone
            return False
        self.seen += data
        return bool(data)

    def expect(self, pattern, timeout=20):
        """Waits for a regular expression after what was expected before; returns the match."""
        deadline = time.monotonic() + timeout
        more = True
        while True:
            match = re.compile(pattern, re.DOTALL).search(self.seen, self.mark)
            if match:
                self.mark = match.end()
                return match
            left = deadline - time.monotonic()
            assert more and left > 0, f"{pattern!r} did not come; the screen: {self.seen[self.mark:]!r}"
            more = self.read(left)

    def send(self, data):
        while data:
            data = data[os.write(self.master, data):]

    def line(self, text):
        self.send(text.encode() + ENTER)

    def wait(self, timeout=20):
        """The exit code, after everything has been read."""
        deadline = time.monotonic() + timeout
        while self.read(0.05):
            if self.process.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                break
            assert time.monotonic() < deadline, f"still running; the screen: {self.seen[self.mark:]!r}"
        return self.process.wait(timeout=max(0.1, deadline - time.monotonic()))

    def modes(self):
        return termios.tcgetattr(self.master)
