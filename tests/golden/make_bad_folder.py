#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hugging Face folders that break one rule each: numbers 40 to 49 of the list of bad inputs (the GGUF files before them:
make_tiny.py --bad), with a part of what must be said about each.

    make_bad_folder.py FOLDER NUMBER"""
import json
import pathlib
import struct
import sys

import make_tiny_folder

NORM = "model.norm.weight"
MESSAGES = {
    40: f"tensor {NORM} appears twice",
    41: "hole of 2 bytes before tensor model.layers.0.input_layernorm.weight",
    42: "overlap",
    43: f"1 bytes after the last tensor, {NORM}",
    44: f"tensor {NORM}: needs bytes ",
    45: "header of 100000001 bytes",
    46: f"tensor {NORM}: shape[0] is 64.5, a whole number is needed",
    47: f"tensor {NORM}: header byte",
    48: 'weight_map: shard name "../x.safetensors" leaves the folder',
    49: "model-00002-of-00003.safetensors is missing",
}


def put(path, header, data):
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def break_header(folder, number):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    size, = struct.unpack("<Q", content[:8])
    header, data = content[8:8 + size], content[8 + size:]
    entries = json.loads(header)
    norm = json.dumps(entries[NORM])
    if number == 40:
        header = header[:-1] + f', "{NORM}": {norm}}}'.encode()
    elif number in (41, 42):
        step = 2 if number == 41 else -2
        for name, entry in entries.items():
            if name != "model.embed_tokens.weight":
                entry["data_offsets"] = [at + step for at in entry["data_offsets"]]
        data = data[:2] + data if number == 41 else data[:-2]
        header = json.dumps(entries).encode()
    elif number == 43:
        data += b"x"
    elif number == 44:
        data = data[:-1]
    elif number in (46, 47):
        dims = "[64.5]" if number == 46 else f"[2, {2**64 - 2}]"
        header = header.replace(norm.encode(), norm.replace("[64]", dims).encode())
    put(path, header, data)


def make(folder, number):
    folder = pathlib.Path(folder)
    make_tiny_folder.make(folder, 3 if number >= 48 else 1)
    index = folder / "model.safetensors.index.json"
    if number == 45:
        with open(folder / "model.safetensors", "wb") as file:
            file.write(struct.pack("<Q", 10**8 + 1) + b"{")
            file.truncate(8 + 10**8 + 1)
    elif number == 48:
        content = json.loads(index.read_text())
        content["weight_map"][NORM] = "../x.safetensors"
        index.write_text(json.dumps(content))
    elif number == 49:
        (folder / "model-00002-of-00003.safetensors").unlink()
    else:
        break_header(folder, number)


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]))
