#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes archs.json beside itself: tiny models of every architecture and what transformers computes for them in f32.

    python -m venv golden && golden/bin/pip install torch transformers numpy
    golden/bin/python tests/golden/make_archs.py [--llama]

published.json holds config.json files in the forms in which models were published, with small sizes.

--llama (with llama-cpp-python) also runs the GGUF form of each through llama.cpp and prints how far it is from
transformers: that the form is llama.cpp's own. It differs where GGUF has no form (NO_GGUF of tests/python/test_archs.py), and
where llama.cpp does something else: it has no window for Phi-3, norms of Command-R's queries only in large models, and takes
LongRoPE's long factors here, as its contexts are at least 256."""
import argparse
import base64
import json
import pathlib
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open

import arch_models

N_IDS, N_KEPT = 40, 6
LONG = 600  # ids of the cases that reach over a chunk of the cache
SMALL = {"vocab_size": arch_models.VOCAB, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": 1,
         "eos_token_id": 2, "pad_token_id": 0}
GPT2 = {"vocab_size": arch_models.VOCAB, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "bos_token_id": 1,
        "eos_token_id": 2}
FACTORS = {"short_factor": [1 + 0.1 * i for i in range(8)], "long_factor": [2 + 0.5 * i for i in range(8)]}


def scaled(kind, **extra):
    return {"rope_parameters": {"rope_theta": 10000.0, "rope_type": kind, **extra}}


def longrope(context, original):
    return {"max_position_embeddings": context, "original_max_position_embeddings": original, "sliding_window": None,
            **scaled("longrope", factor=context / original, original_max_position_embeddings=original,
                     attention_factor=1.19, **FACTORS)}


GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 9}
PUBLISHED = "published: "
CASES = {
    "llama": ("Llama", {}),
    "llama, tied": ("Llama", {"tie_word_embeddings": True}),
    "llama, biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, linear": ("Llama", scaled("linear", factor=4.0)),
    "llama, dynamic": ("Llama", {"max_position_embeddings": 32, **scaled("dynamic", factor=2.0)}),
    "llama, yarn": ("Llama", scaled("yarn", factor=4.0, original_max_position_embeddings=32)),
    "llama, llama3": ("Llama", scaled("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                      original_max_position_embeddings=32)),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 32}),
    "mistral, window": ("Mistral", {"sliding_window": 11}),
    "mistral, long window": ("Mistral", {"sliding_window": 300, "max_position_embeddings": 1024}),
    "mixtral": ("Mixtral", {"num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": None}),
    "mixtral, wide": ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None, "hidden_size": 256,
                                  "intermediate_size": 256, "num_hidden_layers": 1}),  # K-quants fit
    "qwen2": ("Qwen2", {}),
    "qwen2, window": ("Qwen2", {"use_sliding_window": True, "sliding_window": 10, "max_window_layers": 1,
                                "num_hidden_layers": 3}),
    "qwen3": ("Qwen3", {"head_dim": 32}),
    "qwen3_moe": ("Qwen3Moe", {"head_dim": 16, "num_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 48,
                               "norm_topk_prob": True, "decoder_sparse_step": 1}),
    "qwen3_moe, some dense": ("Qwen3Moe", {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 40,
                                           "norm_topk_prob": False, "decoder_sparse_step": 1, "mlp_only_layers": [1],
                                           "num_hidden_layers": 3}),
    "phi": ("Phi", {"num_key_value_heads": 4}),
    "phi, qk norm": ("Phi", {"qk_layernorm": True, "partial_rotary_factor": 0.25}),
    "phi3": ("Phi3", {"sliding_window": None}),
    "phi3, window": ("Phi3", {"sliding_window": 12, "partial_rotary_factor": 0.5}),
    "phi3, longrope short": ("Phi3", longrope(128, 64)),
    "phi3, longrope long": ("Phi3", longrope(128, 16)),
    "gemma2": ("Gemma2", {**GEMMA, "num_hidden_layers": 3, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 5.0}),
    "gemma2, scalar": ("Gemma2", {**GEMMA, "query_pre_attn_scalar": 24, "attn_logit_softcapping": None,
                                  "final_logit_softcapping": None}),
    "gemma3_text": ("Gemma3", {**GEMMA, "num_hidden_layers": 7}),
    "gemma3_text, long": ("Gemma3", {**GEMMA, "num_hidden_layers": 6, "sliding_window": 290, "max_position_embeddings": 1024,
                                     "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                                                         "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}),
    "smollm3": ("SmolLM3", {"num_hidden_layers": 5}),
    "granite": ("Granite", {"embedding_multiplier": 3.0, "residual_multiplier": 0.4, "attention_multiplier": 0.2,
                            "logits_scaling": 2.0}),
    "olmo2": ("Olmo2", {}),
    "stablelm": ("StableLm", {"use_qkv_bias": True}),
    "stablelm, parallel, qk norm": ("StableLm", {"use_parallel_residual": True, "qk_layernorm": True}),
    "starcoder2": ("Starcoder2", {"sliding_window": None}),
    "gpt2": ("GPT2", GPT2),
    "gpt_neox": ("GPTNeoX", {"num_key_value_heads": 4}),
    "gpt_neox, sequential": ("GPTNeoX", {"use_parallel_residual": False, "rotary_pct": 0.5}),
    "falcon": ("Falcon", {}),
    "falcon, many heads": ("Falcon", {"num_attention_heads": 16}),  # more than a tile of queries holds
    "falcon, two norms": ("Falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon, sequential": ("Falcon", {"multi_query": False, "parallel_attn": False, "bias": True}),
    "cohere": ("Cohere", {"logit_scale": 0.25}),
    "cohere, qk norm": ("Cohere", {"use_qk_norm": True}),
    "glm4": ("Glm4", {"head_dim": 16}),
}
SPREADS = {"mixtral, wide": 0.1}  # wider ones would let rounding choose the experts
CLASSES = {"GPT2": "GPT2LMHeadModel"}
CONFIGS = {"Gemma3": "Gemma3TextConfig"}


def build(family, options):
    config_class = getattr(transformers, CONFIGS.get(family, family + "Config"))
    sizes = {} if family == "GPT2" else dict(SMALL)
    if family == "Falcon":
        sizes = {k: v for k, v in sizes.items() if k not in ("num_key_value_heads", "intermediate_size")}
        sizes["ffn_hidden_size"] = 96
    config = config_class(**{**sizes, **options})
    model_class = getattr(transformers, CLASSES.get(family, family + "ForCausalLM"))
    return config, model_class


def build_published(config, folder):
    """From a config.json in the form of the transformers of its day."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return transformers.AutoConfig.from_pretrained(folder), getattr(transformers, config["architectures"][0])


def run(name, config, model_class, folder, n_ids, published=None):
    """The case: what transformers makes of the folder that arch_models writes."""
    model_class._from_config(config, attn_implementation="eager").save_pretrained(folder)
    saved = published or json.loads((folder / "config.json").read_text())
    with safe_open(folder / "model.safetensors", "pt") as file:
        shapes = {name: list(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
    case = {"config": saved, "tensors": shapes}
    if name in SPREADS:
        case["spread"] = SPREADS[name]
    arch_models.write_folder(folder, case)
    model = model_class.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    case["ids"] = np.random.default_rng(1).integers(0, arch_models.VOCAB, n_ids).tolist()
    with torch.no_grad():
        out = model(torch.tensor([case["ids"]]), use_cache=False).logits[0, -N_KEPT:].float().numpy()
    case["logits"] = base64.b64encode(out.astype("<f4").tobytes()).decode()
    return case


def against_llama(name, case, work):
    import llama_cpp
    path = work / "model.gguf"
    try:
        arch_models.write_gguf(path, case)
        model = llama_cpp.Llama(str(path), n_ctx=len(case["ids"]) + 8, n_batch=1024, n_ubatch=1024, logits_all=True, verbose=False,
                                n_threads=1, type_k=0, type_v=0, flash_attn=False)
        model.eval(case["ids"])
        got = np.array(model.scores[len(case["ids"]) - N_KEPT:len(case["ids"])], dtype=np.float64)
    except Exception as error:  # what llama.cpp can not load
        print(f"     {name:28} llama.cpp: {str(error).splitlines()[0][:90]}")
        return
    want = arch_models.logits(case).astype(np.float64)
    print(f"     {name:28} llama.cpp's NMSE {((got - want) ** 2).sum() / (want ** 2).sum():.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama", action="store_true", help="only compare llama.cpp with what archs.json holds")
    options = parser.parse_args()
    cases = arch_models.load() if options.llama else {}
    for name, (family, settings) in CASES.items():
        with tempfile.TemporaryDirectory() as work:
            if options.llama:
                against_llama(name, cases[name], pathlib.Path(work))
                continue
            long = settings.get("max_position_embeddings", 0) > 512
            cases[name] = run(name, *build(family, settings), pathlib.Path(work) / "model", LONG if long else N_IDS)
            print("made", name)
    if not options.llama:
        for name, config in json.loads((arch_models.HERE / "published.json").read_text()).items():
            with tempfile.TemporaryDirectory() as work:
                folder = pathlib.Path(work) / "model"
                cases[PUBLISHED + name] = run(name, *build_published(config, folder), folder, N_IDS, config)
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items())
        (arch_models.HERE / "archs.json").write_text("{\n" + rows + "\n}\n")


if __name__ == "__main__":
    main()
