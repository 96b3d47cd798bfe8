#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What was built keeps the promises: the library calls nothing that ends, prints or takes what belongs to the process, and shows
nothing but ql_*; library and command are hardened.

    check_binaries.py [BUILD]

Needs nm and readelf. Prints "binaries: ..." and exits 0, or one line for each fault and exits 1."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# By what they would do to the program that the library lives in.
FORBIDDEN = {
    "ends it": "abort exit _exit _Exit quick_exit __assert_fail __assert err errx verr verrx error atexit on_exit __cxa_atexit",
    "prints": "printf vprintf fprintf vfprintf dprintf vdprintf puts putchar fputs fputc putc perror psignal fwrite stdout stderr "
              "__printf_chk __fprintf_chk __vfprintf_chk __vprintf_chk __dprintf_chk",
    "reads its input": "stdin scanf getchar gets",
    "takes its signals": "signal sigaction sigsuspend raise kill alarm setitimer siglongjmp",
    "changes its state": "setlocale setenv putenv unsetenv clearenv chdir fchdir umask srand srandom rand random setrlimit nice "
                         "setpriority sched_setaffinity mallopt tzset",
    "starts programs": "system popen fork vfork execl execv execve execvp posix_spawn",
    "is never safe": "gets strcat strcpy sprintf vsprintf tmpnam mktemp",
}
ALLOWED = {"strcpy"}  # of literals into places of known size; _FORTIFY_SOURCE checks it


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, check=True).stdout


def symbols(path, *options):
    """(type, name) of each; versions cut off."""
    found = []
    for line in run("nm", "-D", *options, str(path)).splitlines():
        kind, name = line.split()[-2:]
        found.append((kind, name.split("@")[0]))
    return found


def check_calls(library, faults):
    wanted = {name for _, name in symbols(library, "--undefined-only")}
    for what, names in FORBIDDEN.items():
        for name in sorted(set(names.split()) & wanted - ALLOWED):
            faults.append(f"{library.name} calls {name}, which {what}")


def check_exports(library, header, faults):
    declared = set(re.findall(r"^QL_API [^;(]*?\b(ql_\w+)\(", header.read_text(), re.M))
    exported = {name for kind, name in symbols(library, "--defined-only") if kind != "A"}
    faults += [f"{library.name} shows {name}, which quantllm.h does not declare" for name in sorted(exported - declared)]
    faults += [f"{library.name} lacks {name} of quantllm.h" for name in sorted(declared - exported)]
    return len(exported)


def check_hardening(path, is_program, faults):
    segments, dynamic, names = run("readelf", "-lhW", str(path)), run("readelf", "-dW", str(path)), {n for _, n in symbols(path)}
    wanted = {
        "position independent": "DYN" in re.search(r"Type:\s+(.*)", segments)[1],
        "RELRO": "GNU_RELRO" in segments,
        "bound at start (-z now)": bool(re.search(r"BIND_NOW|Flags:.*NOW", dynamic)),
        "without an executable stack": bool(re.search(r"GNU_STACK(\s+0x\w+){5}\s+RW\s", segments)),
        "without writable code": not re.search(r"^\s+LOAD.*\sRWE\s", segments, re.M),
        "without text relocations": "TEXTREL" not in dynamic,
        "with a stack protector": "__stack_chk_fail" in names,
        "with _FORTIFY_SOURCE": any(re.fullmatch(r"__\w+_chk", name) and name != "__stack_chk_fail" for name in names),
        "without a search path": is_program or not re.search(r"RPATH|RUNPATH", dynamic),
    }
    faults += [f"{path.name} is not {what}" for what, there in wanted.items() if not there]
    return len(wanted)


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build")
    library, command, faults = build / "libquantllm.so", build / "cli" / "quantllm", []
    check_calls(library, faults)
    n_exports = check_exports(library, ROOT / "include" / "quantllm.h", faults)
    n = check_hardening(library, False, faults) + check_hardening(command, True, faults)
    if faults:
        print("\n".join(faults))
        return 1
    print(f"binaries: {n_exports} functions, {n} marks of hardening ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
