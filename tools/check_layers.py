#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the house together: which room may include which, and that files do not include each other in a ring.

Prints "layers: N files ok" and exits 0, or one line for each fault and exits 1."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = {
    "base": [],
    "tensor": ["base"],
    "format": ["tensor", "base"],
    "kernel": ["tensor", "base"],
    "model": ["format", "kernel", "tensor", "base"],
    "text": ["format", "base"],
    "sample": ["base"],
    "engine": ["model", "kernel", "format", "tensor", "text", "sample", "base"],
}
# Headers that stay in their room: what is behind its types. Metadata is reached by typed getters (format/source.h) alone.
PRIVATE = re.compile(r"_impl\.h$|^format/(gguf|gguf_read|safetensors|hf_index|json|seal)\.h$|^model/(bind|binder|config)\.h$")
MAY_SEE = {"engine": ["model/bind.h"]}  # which writes and compares packed files
# format gives tensors, so who may include format sees its types.
TYPES_FROM = {"text": ["tensor/dtype.h"]}
USERS = ["cli", "server", "python", "examples"]  # quantllm.h and their own folder
ROOMS_OUTSIDE = {"hub": ["base"]}  # beside src/: what they may include of it, besides quantllm.h
USED_BY = {"cli": ["hub/hub.h"]}  # what a user may take from such a room
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".c", ".h", ".inc"))


def check_room(path, room, name, faults):
    target = name.split("/")[0]
    if target != room and PRIVATE.search(name) and name not in MAY_SEE.get(room, []):
        faults.append(f"{path.relative_to(ROOT)}: {name} is private to its room")
        return
    if name == "quantllm.h" or target == room or name in TYPES_FROM.get(room, []):
        return
    if target in ROOMS and "/" in name:
        if target not in ROOMS[room]:
            faults.append(f"{path.relative_to(ROOT)}: {room} may not include {name}")
    elif "/" in name:
        faults.append(f"{path.relative_to(ROOT)}: {name} is in no room")


def check_user(path, user, name, faults):
    own = name == "quantllm.h" or (path.parent / name).is_file() or name in USED_BY.get(user, [])
    if not own and not (name.split("/")[0] in ROOMS_OUTSIDE.get(user, []) and (ROOT / "src" / name).is_file()):
        faults.append(f"{path.relative_to(ROOT)}: {user} may not include {name}")


def rings(graph):
    """Every ring of files that include each other, once."""
    found, done = [], set()

    def walk(node, trail):
        if node in trail:
            found.append(" -> ".join(trail[trail.index(node):] + [node]))
        elif node not in done:
            for target in graph.get(node, []):
                walk(target, trail + [node])
            done.add(node)

    for node in graph:
        walk(node, [])
    return found


def main():
    faults, graph, n_files = [], {}, 0
    for room in sorted(p.name for p in (ROOT / "src").iterdir() if p.is_dir()):
        if room not in ROOMS:
            faults.append(f"src/{room}: not a room")
            continue
        for path in sources(ROOT / "src" / room):
            n_files += 1
            names = INCLUDE.findall(path.read_text())
            graph[str(path.relative_to(ROOT / "src"))] = names
            for name in names:
                check_room(path, room, name, faults)
    for user in [*USERS, *ROOMS_OUTSIDE]:
        for path in sources(ROOT / user) if (ROOT / user).is_dir() else []:
            n_files += 1
            for name in INCLUDE.findall(path.read_text()):
                check_user(path, user, name, faults)
    faults += [f"ring: {ring}" for ring in rings(graph)]
    if faults:
        print("\n".join(faults))
        return 1
    print(f"layers: {n_files} files ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
