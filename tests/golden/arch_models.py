# SPDX-License-Identifier: MIT
"""Tiny random models of every architecture, the same bytes every time: as a Hugging Face folder and as a GGUF file.

archs.json (made by make_archs.py) says what transformers gives for each: its config.json, the names and shapes of its
tensors, ids, and logits of the last positions. Weights come from the name of a tensor alone."""
import base64
import json
import pathlib
import struct
import zlib

import numpy as np

from make_tiny import ARR, BOOL, F32, I32, STR, U32, Kv, Tensor, assemble

HERE = pathlib.Path(__file__).resolve().parent
VOCAB = 128
SPREAD = 0.35  # of the weights, uniform


def load():
    return json.loads((HERE / "archs.json").read_text())


def logits(case):
    """[positions, VOCAB]: of the last positions of case["ids"]."""
    return np.frombuffer(base64.b64decode(case["logits"]), dtype="<f4").reshape(-1, VOCAB)


def weight(case, name):
    """Uniform in [-spread, spread); a norm's around 1, so that every part of a layer counts."""
    shape = case["tensors"][name]
    bits = np.random.Philox(key=zlib.crc32(name.encode())).random_raw(int(np.prod(shape)))
    values = ((bits >> np.uint64(40)).astype(np.float64) / 2 ** 23 - 1) * case.get("spread", SPREAD)
    centre = 1.0 if name.endswith("weight") and ("norm" in name or ".ln_" in name or "ln_attn" in name or "ln_mlp" in name) else 0.0
    return (values + centre).astype(np.float32).reshape(shape)


def tokenizer_json():
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": level, "post_processor": None,
            "decoder": level, "model": {"type": "BPE", "byte_fallback": False, "merges": [],
                                        "vocab": {token: i for i, token in enumerate(tokens()[:95])}}}


def tokens():
    """What can be printed, one merge (llama.cpp wants some), and names for the rest."""
    pieces = ["\u0120" if b == 32 else chr(b) for b in range(32, 127)] + ["ab"]
    return pieces + [f"[unused {i}]" for i in range(len(pieces), VOCAB)]


def write_folder(folder, case, config=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or case["config"]))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    header, parts, at = {}, [], 0
    for name, shape in case["tensors"].items():
        data = weight(case, name).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


# ---- GGUF, as llama.cpp's converter names and orders things ----

LAYER = {  # after "blk.N."
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.dense": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up",
    "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
    "block_sparse_moe.gate": "ffn_gate_inp",
    "ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output", "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down", "self_attention.query_key_value": "attn_qkv", "self_attention.dense": "attn_output",
    "ln_attn": "attn_norm_2", "ln_mlp": "attn_norm"}
AROUND_FFN = {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
              "post_feedforward_layernorm": "post_ffw_norm"}
GLM4 = {"post_self_attn_layernorm": "post_attention_norm", "post_attention_layernorm": "ffn_norm",
        "post_mlp_layernorm": "post_ffw_norm"}
TOP = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output", "final_layernorm": "output_norm",
       "wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "embed_in": "token_embd",
       "final_layer_norm": "output_norm", "embed_out": "output", "word_embeddings": "token_embd"}
STACKED = {"gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps", "w1": "ffn_gate_exps",
           "w3": "ffn_up_exps", "w2": "ffn_down_exps", "q_layernorm": "attn_q_norm", "k_layernorm": "attn_k_norm"}
GGUF_ARCH = {"mistral": "llama", "mixtral": "llama", "qwen3_moe": "qwen3moe", "phi": "phi2", "gemma3_text": "gemma3",
             "gpt_neox": "gptneox", "cohere": "command-r"}
INTERLEAVED = {"llama", "mistral", "mixtral", "smollm3", "granite"}  # q and k rows are permuted for it
PREFIXES = ("model.", "transformer.", "gpt_neox.")


def permute(w, n_heads):
    return w.reshape(n_heads, 2, -1, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def split_heads(w, n_groups, n_queries, head_dim):
    """Fused rows, group by group its queries, key and value, to all queries, all keys, all values."""
    grouped = w.reshape(n_groups, n_queries + 2, head_dim, *w.shape[1:])
    parts = grouped[:, :-2], grouped[:, -2], grouped[:, -1]
    return np.concatenate([part.reshape(-1, *w.shape[1:]) for part in parts])


class Converter:
    def __init__(self, case):
        self.case, self.config = case, case["config"]
        self.kind = self.config["model_type"]
        self.arch = GGUF_ARCH.get(self.kind, self.kind)
        self.heads = self.config.get("num_attention_heads") or self.config["n_head"]
        self.embd = self.config.get("hidden_size") or self.config["n_embd"]
        self.head_dim = self.config.get("head_dim") or self.embd // self.heads
        self.kv_heads = self.config.get("num_key_value_heads") or self.config.get("num_kv_heads") or self.heads
        if self.kind == "gpt_neox":  # has the key and does not use it
            self.kv_heads = self.heads
        if self.kind == "falcon" and not self.config["new_decoder_architecture"]:
            self.kv_heads = 1 if self.config["multi_query"] else self.heads

    def layer_name(self, name):
        if self.kind in ("gemma2", "gemma3_text", "olmo2") and name in AROUND_FFN:
            return AROUND_FFN[name]
        return GLM4[name] if self.kind == "glm4" and name in GLM4 else LAYER.get(name)

    def change(self, name, w):
        """Values of tensor `name` (without prefix and suffix) as GGUF has them."""
        if self.kind in INTERLEAVED and name.endswith(("q_proj", "k_proj")):
            return permute(w, self.heads if name.endswith("q_proj") else self.kv_heads)
        if self.kind.startswith("gemma") and name.endswith("norm"):
            return w + 1
        if self.kind == "gpt2" and w.ndim == 2 and name.split(".")[-1].startswith("c_"):
            return np.ascontiguousarray(w.T)
        if name.endswith("query_key_value"):
            groups = self.heads if self.kind == "gpt_neox" else self.kv_heads
            return split_heads(w, groups, self.heads // groups, self.head_dim)
        return w

    def tensors(self):
        """Name and values; experts and norms kept head by head are stacked."""
        stacked = {}
        for full in self.case["tensors"]:
            name = next((full[len(p):] for p in PREFIXES if full.startswith(p)), full)
            name, suffix = (name.rsplit(".", 1) if name.endswith(("weight", "bias")) else (name, "weight"))
            w = weight(self.case, full)
            if not name.startswith(("layers.", "h.")):
                yield f"{TOP[name]}.{suffix}", self.change(name, w)
                continue
            _, number, inner = name.split(".", 2)
            if "experts." in inner or "_layernorm.norms." in inner:
                part = inner.split(".")  # ..., expert, name; or ..., name, "norms", head
                key = STACKED[part[-1] if "experts." in inner else part[1]]
                stacked.setdefault(f"blk.{number}.{key}.weight", {})[int(part[-2] if "experts." in inner else part[-1])] = w
                continue
            yield f"blk.{number}.{self.layer_name(inner)}.{suffix}", self.change(inner, w)
        for name, parts in stacked.items():
            yield name, np.stack([parts[i] for i in sorted(parts)])
        yield from self.rope_tensors()

    def rope(self):
        rope = self.config.get("rope_parameters") or {}
        return rope.get("full_attention", rope)

    def rope_tensors(self):
        rope = self.rope()
        if rope.get("rope_type") == "longrope":
            for kind in ("short", "long"):
                yield f"rope_factors_{kind}.weight", np.array(rope[f"{kind}_factor"], np.float32)
        if rope.get("rope_type") == "llama3":
            freqs = 1 / rope["rope_theta"] ** (np.arange(0, self.head_dim, 2) / self.head_dim)
            waves, length = 2 * np.pi / freqs, rope["original_max_position_embeddings"]
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            smooth = np.clip((length / waves - low) / (high - low), 0, 1)
            yield "rope_freqs.weight", (1 / ((1 - smooth) / rope["factor"] + smooth)).astype(np.float32)

    def ff(self):
        c = self.config
        return c.get("intermediate_size") or c.get("ffn_hidden_size") or c.get("n_inner") or 4 * self.embd

    def sizes(self):
        c = self.config
        yield "context_length", U32, c.get("max_position_embeddings") or c["n_positions"]
        yield "embedding_length", U32, self.embd
        yield "block_count", U32, c.get("num_hidden_layers") or c["n_layer"]
        yield "feed_forward_length", U32, self.ff()
        yield "attention.head_count", U32, self.heads
        yield "attention.head_count_kv", U32, self.kv_heads
        if c.get("head_dim"):
            yield "attention.key_length", U32, self.head_dim
            yield "attention.value_length", U32, self.head_dim
        for key, name in (("rms_norm_eps", "rms_"), ("layer_norm_eps", ""), ("layer_norm_epsilon", ""), ("norm_epsilon", "")):
            if key in c:
                yield f"attention.layer_norm_{name}epsilon", F32, c[key]

    def extras(self):
        c, rope = self.config, self.rope()
        if rope:
            yield "rope.freq_base", F32, rope["rope_theta"]
            yield "rope.dimension_count", U32, int(self.head_dim * rope.get("partial_rotary_factor", 1.0))
        if rope.get("rope_type") in ("linear", "yarn"):  # longrope shows by its tensors
            yield "rope.scaling.type", STR, rope["rope_type"]
            yield "rope.scaling.factor", F32, rope.get("factor", 1.0)
        if rope.get("rope_type") in ("yarn", "longrope"):
            yield "rope.scaling.original_context_length", U32, rope["original_max_position_embeddings"]
        if rope.get("rope_type") == "longrope":
            yield "rope.scaling.attn_factor", F32, rope["attention_factor"]
        experts = c.get("num_local_experts") or c.get("num_experts")
        if experts:
            yield "expert_count", U32, experts
            yield "expert_used_count", U32, c["num_experts_per_tok"]
        if c.get("moe_intermediate_size"):
            yield "expert_feed_forward_length", U32, c["moe_intermediate_size"]
        if self.arch in ("gemma2", "gemma3", "phi3") and c.get("sliding_window"):
            yield "attention.sliding_window", U32, c["sliding_window"]
        for ours, key in (("attn_logit_softcapping", "attn_logit_softcapping"), ("logit_scale", "logit_scale"),
                          ("final_logit_softcapping", "final_logit_softcapping"), ("embedding_scale", "embedding_multiplier"),
                          ("residual_scale", "residual_multiplier"), ("attention.scale", "attention_multiplier"),
                          ("logit_scale", "logits_scaling")):
            if c.get(key) is not None:
                yield ours, F32, c[key]
        if "use_parallel_residual" in c:
            yield "use_parallel_residual", BOOL, c["use_parallel_residual"]

    def metadata(self):
        yield Kv("general.architecture", STR, self.arch)
        for key, kind, value in (*self.sizes(), *self.extras()):
            yield Kv(f"{self.arch}.{key}", kind, value)
        names = tokens()
        yield Kv("tokenizer.ggml.model", STR, "gpt2")
        yield Kv("tokenizer.ggml.pre", STR, "gpt-2")
        yield Kv("tokenizer.ggml.tokens", ARR, names, STR)
        yield Kv("tokenizer.ggml.token_type", ARR, [1] * 96 + [5] * (VOCAB - 96), I32)
        yield Kv("tokenizer.ggml.merges", ARR, ["a b"], STR)
        yield Kv("tokenizer.ggml.eos_token_id", U32, 2)


def write_gguf(path, case):
    converter = Converter(case)
    listed = [Tensor(name, list(reversed(w.shape)), 0, w.astype("<f4").tobytes()) for name, w in converter.tensors()]
    path.write_bytes(assemble(list(converter.metadata()), listed))
