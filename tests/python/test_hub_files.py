# SPDX-License-Identifier: MIT
"""Which files of a repository are wanted: decided from their names alone."""
import pytest

from quantllm._hub import parse
from quantllm._hub_files import choose, refuse_quantized, shards_of

DOCUMENTS = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
             "special_tokens_map.json", "chat_template.jinja"]
TINYLLAMA = [".gitattributes", "README.md", "config.json", "eval_results.json", "generation_config.json",
             "model.safetensors", "pytorch_model.bin", "special_tokens_map.json", "tokenizer.json", "tokenizer.model",
             "tokenizer_config.json"]
MISTRAL = ["config.json", "consolidated.safetensors", "generation_config.json", "model-00001-of-00002.safetensors",
           "model-00002-of-00002.safetensors", "model.safetensors.index.json", "params.json",
           "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json", "tokenizer.json", "tokenizer.model.v3"]
TYPES = ["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q8_0", "f16", "IQ4_XS"]
GGUF = ["README.md", "config.json", "mmproj-model-f16.gguf", "imatrix.gguf",
        *(f"tiny-1.1b-chat.{kind}.gguf" for kind in TYPES), "Tiny-UD-Q4_K_XL.gguf"]
SHARDS = [f"Q8_0/big-Q8_0-0000{i}-of-00003.gguf" for i in (1, 2, 3)]


def test_one_safetensors_file():
    choice = choose("o/n", TINYLLAMA, None)
    assert sorted(choice.files) == ["config.json", "generation_config.json", "model.safetensors",
                                    "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
    assert choice.shard_index is None and choice.gguf is None


def test_index_and_shards():
    choice = choose("o/n", MISTRAL, None)
    assert sorted(choice.files) == ["config.json", "generation_config.json", "model.safetensors.index.json",
                                    "tokenizer.json"]
    assert choice.shard_index == "model.safetensors.index.json"
    weights = {"a": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors",
               "c": "model-00002-of-00002.safetensors"}
    assert shards_of("o/n", {"weight_map": weights}, MISTRAL) == sorted(set(weights.values()))


@pytest.mark.parametrize("index", [None, [], {}, {"weight_map": {}}, {"weight_map": []}, {"weight_map": {"a": 1}},
                                   {"weight_map": {"a": "none.safetensors"}}, {"weight_map": {"a": "../config.json"}},
                                   {"weight_map": {"a": "/etc/passwd"}}], ids=repr)
def test_wrong_index(index):
    with pytest.raises(ValueError, match="^o/n: model.safetensors.index.json"):
        shards_of("o/n", index, [*MISTRAL, "../config.json", "/etc/passwd"])


def test_one_file_beside_an_index():
    choice = choose("o/n", [*MISTRAL, "model.safetensors"], None)
    assert "model.safetensors" in choice.files and choice.shard_index is None


def test_old_tokenizer_only_when_there_is_no_other():
    names = ["config.json", "model.safetensors", "vocab.json", "merges.txt"]
    assert sorted(choose("o/n", names, None).files) == sorted(names)
    assert "vocab.json" not in choose("o/n", [*names, "tokenizer.json"], None).files


@pytest.mark.parametrize("names, taken", [
    (GGUF, "tiny-1.1b-chat.Q4_K_M.gguf"),
    ([name for name in GGUF if "Q4" not in name], "tiny-1.1b-chat.Q5_K_M.gguf"),
    (["a.Q8_0.gguf", "a.F16.gguf"], "a.Q8_0.gguf"),
    (["a.F32.gguf", "a.BF16.gguf", "a.Q2_K.gguf"], "a.Q2_K.gguf"),
    (["only.gguf"], "only.gguf"),
    (["b.Q4_K_M.gguf", "a.Q4_K_M.gguf"], "a.Q4_K_M.gguf"),
    (["b.gguf", "a.gguf"], "a.gguf"),
    ([*SHARDS, "x.F16.gguf"], SHARDS[0]),
    (["strange.TQ1_0.gguf"], "strange.TQ1_0.gguf"),
])
def test_gguf_when_none_is_asked_for(names, taken):
    choice = choose("o/n", names, None)
    assert choice.files[0] == choice.gguf == taken and len(choice.files) == (3 if taken in SHARDS else 1)
    assert choice.remark is None if len(names) == 1 else taken in choice.remark


@pytest.mark.parametrize("wanted, taken", [
    ("Q8_0", "tiny-1.1b-chat.Q8_0.gguf"),
    ("q8_0", "tiny-1.1b-chat.Q8_0.gguf"),
    ("F16", "tiny-1.1b-chat.f16.gguf"),
    ("iq4_xs", "tiny-1.1b-chat.IQ4_XS.gguf"),
    ("UD-Q4_K_XL", "Tiny-UD-Q4_K_XL.gguf"),
    ("tiny-1.1b-chat.Q2_K.gguf", "tiny-1.1b-chat.Q2_K.gguf"),
])
def test_gguf_by_choice(wanted, taken):
    assert choose("o/n", GGUF, wanted).files == [taken]


def test_gguf_beside_safetensors_only_by_choice():
    names = [*TINYLLAMA, *GGUF]
    assert choose("o/n", names, None).gguf is None
    assert choose("o/n", names, "Q4_K_M").gguf == "tiny-1.1b-chat.Q4_K_M.gguf"


@pytest.mark.parametrize("wanted", [None, "Q8_0", SHARDS[0], SHARDS[1], SHARDS[2].rsplit("/")[-1]])
def test_all_shards(wanted):
    choice = choose("o/n", SHARDS, wanted)
    assert choice.files == SHARDS and choice.gguf == SHARDS[0]


def test_shards_that_are_not_all_there():
    with pytest.raises(ValueError, match="one of 3 shards, of which 2 are there"):
        choose("o/n", SHARDS[:2], None)


@pytest.mark.parametrize("names, wanted, kind, part", [
    (GGUF, "Q6_K", FileNotFoundError, 'o/n has no "Q6_K"; its GGUF files are Tiny-UD-Q4_K_XL.gguf, tiny-1.1b-chat.'),
    (GGUF, "Q4_K", FileNotFoundError, 'o/n has no "Q4_K"; its GGUF files are'),
    (GGUF, "x.gguf", FileNotFoundError, 'o/n has no "x.gguf"; its GGUF files are'),
    (TINYLLAMA, "Q4_K_M", FileNotFoundError, 'leave ":Q4_K_M" out, and take quantization="Q4_K_M" for that type'),
    (TINYLLAMA, "x.gguf", FileNotFoundError, 'o/n has no GGUF files: leave ":x.gguf" out'),
    (["a.Q4_K_M.gguf", "b.Q4_K_M.gguf", "c.gguf"], "q4_k_m", ValueError,
     '"q4_k_m" is in the names of 2 GGUF files of o/n, give one: a.Q4_K_M.gguf, b.Q4_K_M.gguf'),
    (["config.json", "pytorch_model.bin"], None, NotImplementedError, "as pytorch_model.bin only: convert them"),
    (["onnx/model.onnx"], None, NotImplementedError, "as onnx/model.onnx only"),
    (["adapter_config.json", "adapter_model.safetensors"], None, NotImplementedError, "is an adapter (LoRA)"),
    (["unet.safetensors"], None, NotImplementedError, "only unet.safetensors"),
    (["model.safetensors"], None, ValueError, "o/n has model.safetensors but no config.json"),
    (["README.md"], None, NotImplementedError, "neither safetensors nor GGUF"),
    ([], None, NotImplementedError, "neither safetensors nor GGUF"),
    (["../a.gguf", "/b.gguf", "c\\d.gguf", "e\n.gguf", "f\x7f.gguf", "g" * 251 + ".gguf"], None, NotImplementedError, "neither safetensors nor GGUF"),
])
def test_what_can_not_be_chosen(names, wanted, kind, part):
    with pytest.raises(kind) as caught:
        choose("o/n", names, wanted)
    assert part in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("config, names, part", [
    ({"quantization_config": {"quant_method": "gptq"}}, [], '"gptq"'),
    ({"compression_config": {"format": "x"}}, [], "another program"),
    ({"text_config": {"quantization_config": {"quant_method": "fp8"}}}, [], '"fp8"'),
    ({}, ["quantize_config.json"], "another program"),
])
def test_quantized_by_others(config, names, part):
    with pytest.raises(NotImplementedError, match=part):
        refuse_quantized("o/n", config, names)
    refuse_quantized("o/n", {"quantization_config": None, "text_config": {}, "architectures": ["A"]}, TINYLLAMA)
    with pytest.raises(ValueError, match="no JSON object"):
        refuse_quantized("o/n", [], [])


@pytest.mark.parametrize("name, repo, wanted", [
    ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "TinyLlama/TinyLlama-1.1B-Chat-v1.0", None), ("gpt2", "gpt2", None),
    ("o/n:Q4_K_M", "o/n", "Q4_K_M"), ("o/n:sub/file.gguf", "o/n", "sub/file.gguf"), ("_o/n_", "_o/n_", None),
])
def test_names_of_the_hub(name, repo, wanted):
    assert parse(name) == parse(f"hf://{name}") == (repo, wanted) and str(parse(name)) == name


@pytest.mark.parametrize("name", ["/a/b", "./a", "../a", "a/b/c", "a//b", "a/", "-a/b", "a/b-", "a/b.", "a--b/c",
                                  "a..b/c", "model.gguf", "a/b.gguf", "a/b.safetensors", "a b/c", "~/a", "ä/b",
                                  "a" * 97, "a\n", "C:\\models", "hf:///a/b", "https://huggingface.co/a/b"])
def test_what_can_only_be_a_path(name):
    assert parse(name) is None
