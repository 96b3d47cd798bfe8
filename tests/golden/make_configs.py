#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes configs.txt and rotations.txt beside itself, from transformers: what a config.json means that says nothing but
its model_type, and the inverse frequencies of every rope scaling in the old and the new form of its keys.

    python -m venv golden && golden/bin/pip install torch transformers
    golden/bin/python tests/golden/make_configs.py"""
import json
import pathlib

import torch
from transformers import CONFIG_MAPPING
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

TYPES = ['llama', 'mistral', 'mixtral', 'qwen2', 'qwen3', 'qwen3_moe', 'phi', 'phi3', 'gemma2', 'gemma3_text',
         'smollm3', 'granite', 'olmo2', 'stablelm', 'starcoder2', 'gpt2', 'gpt_neox', 'falcon', 'cohere', 'glm4']
SIZES = {'hidden_size': 64, 'num_attention_heads': 4, 'num_hidden_layers': 2, 'max_position_embeddings': 256}
SHORT, LONG = [1 + 0.1 * i for i in range(8)], [1.5 + 0.5 * i for i in range(8)]
SCALINGS = [
    ('llama', {}, 256), ('llama', {'rope_type': 'linear', 'factor': 4.0}, 256),
    ('llama', {'rope_type': 'dynamic', 'factor': 4.0}, 256), ('llama', {'rope_type': 'dynamic', 'factor': 4.0}, 700),
    ('llama', {'rope_type': 'yarn', 'factor': 4.0, 'original_max_position_embeddings': 64}, 256),
    ('llama', {'rope_type': 'yarn', 'factor': 4.0, 'original_max_position_embeddings': 64,
               'attention_factor': 1.5}, 256),
    ('llama', {'rope_type': 'yarn', 'factor': 4.0, 'original_max_position_embeddings': 64, 'mscale': 0.7,
               'mscale_all_dim': 1.3, 'truncate': False, 'beta_fast': 16.0, 'beta_slow': 2.0}, 256),
    ('llama', {'rope_type': 'llama3', 'factor': 8.0, 'low_freq_factor': 1.0, 'high_freq_factor': 4.0,
               'original_max_position_embeddings': 64}, 256),
    ('phi3', {'rope_type': 'longrope', 'short_factor': SHORT, 'long_factor': LONG}, 64),
    ('phi3', {'rope_type': 'longrope', 'short_factor': SHORT, 'long_factor': LONG}, 65),
]


def defaults(model_type):
    c = CONFIG_MAPPING[model_type]()
    heads = c.num_attention_heads
    kv_heads = getattr(c, 'num_key_value_heads', heads)
    if model_type == 'falcon':
        kv_heads = 1  # multi_query
    head_dim = getattr(c, 'head_dim', None) or c.hidden_size // heads
    ff = getattr(c, 'intermediate_size', None) or getattr(c, 'ffn_hidden_size', None) or 4 * c.hidden_size
    eps = next(getattr(c, k) for k in ('rms_norm_eps', 'layer_norm_eps', 'layer_norm_epsilon', 'norm_epsilon')
               if hasattr(c, k))
    rope = getattr(c, 'rope_parameters', None) or {}
    rope = rope.get('full_attention', rope)
    n_rot = int(head_dim * rope.get('partial_rotary_factor', 1.0)) if rope else 0
    experts = getattr(c, 'num_local_experts', 0) or 0
    used = c.num_experts_per_tok if experts else 0
    return [c.hidden_size, c.num_hidden_layers, heads, kv_heads, head_dim, ff, c.max_position_embeddings, eps, n_rot,
            rope.get('rope_theta', 10000.0), int(c.tie_word_embeddings), experts, used,
            getattr(c, 'sliding_window', None) or 0]


def rotation(model_type, scaling, length):
    """The frequencies, and the scaling as transformers 4 and 5 write it."""
    extra = {'original_max_position_embeddings': 64} if model_type == 'phi3' else {}
    parameters = dict(scaling or {'rope_type': 'default'}, rope_theta=5000.0)
    old = {k if k != 'rope_type' else 'type': v for k, v in scaling.items()}
    if old.get('type') == 'longrope':
        old['type'] = 'su'
    new = dict(SIZES, **extra, model_type=model_type, rope_parameters=parameters)
    c = CONFIG_MAPPING[model_type](**SIZES, **extra, rope_parameters=dict(parameters))
    if scaling:
        inv_freq, factor = ROPE_INIT_FUNCTIONS[scaling['rope_type']](c, 'cpu', seq_len=length)
    else:
        inv_freq, factor = 1 / 5000.0 ** (torch.arange(0, 16, 2) / 16), 1.0
    for config in (new, dict(SIZES, **extra, model_type=model_type, rope_theta=5000.0, rope_scaling=old or None)):
        yield f'{json.dumps(config)}\n{length} {factor!r} ' + ' '.join(repr(float(f)) for f in inv_freq) + '\n'


def main():
    here = pathlib.Path(__file__).parent
    rows = [' '.join([t] + [repr(v) for v in defaults(t)]) for t in TYPES]
    (here / 'configs.txt').write_text('\n'.join(rows) + '\n')
    (here / 'rotations.txt').write_text(''.join(text for s in SCALINGS for text in rotation(*s)))


if __name__ == '__main__':
    main()
