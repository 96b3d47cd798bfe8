# SPDX-License-Identifier: MIT
"""generate(): what it returns depends on the prompt, the parameters and the seed, and on nothing else."""
import pytest

from quantllm import Stream, Usage, turbo

PROMPTS = ["Once upon a time", "a", "The quick brown fox", "hello, wörld", "日本", "\n\n", "1 2 3", "x = [",
           "  two spaces", "Zoë said"]
GREEDY = {"temperature": 0.0, "max_new_tokens": 12}
PARAMETERS = {
    "defaults": {},
    "hot": {"temperature": 2.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0},
    "narrow": {"temperature": 0.9, "top_k": 5, "top_p": 0.5, "min_p": 0.05},
    "penalized": {"temperature": 1.2, "typical_p": 0.8, "frequency_penalty": 0.5, "presence_penalty": -0.5},
    "stopped": {"temperature": 1.5, "top_k": 0, "stop_strings": ["e", "th", "\n", " a", "\ufffd\ufffd"]},
}


class Index:
    """An integer that is no int, as numpy's."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Number:
    def __init__(self, value):
        self.value = value

    def __float__(self):
        return self.value


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
def test_joined_stream_is_the_plain_result(model, parameters):
    for prompt in PROMPTS:
        for seed in range(4):
            call = {"max_new_tokens": 24, "seed": seed, **parameters}
            plain = model.generate(prompt, **call)
            stream = model.generate(prompt, stream=True, **call)
            pieces = list(stream)
            assert "".join(pieces) == plain
            assert all(pieces) and stream.finish_reason == model.last_finish_reason
            assert not any(stop in plain for stop in parameters.get("stop_strings", ()))


def test_stop_string_anywhere(model):
    """Cut out of the text that comes without it, so across tokens, at the start, at the end, or never."""
    call = {"max_new_tokens": 24, "temperature": 1.5, "top_k": 0, "seed": 5}
    for prompt in PROMPTS:
        text = model.generate(prompt, **call)
        for begin in range(0, len(text), 3):
            for length in (1, 2, 5):
                stop = text[begin:begin + length]
                stream = model.generate(prompt, stream=True, stop_strings=stop, **call)
                assert "".join(stream) == text[:text.index(stop)]
                assert stream.finish_reason == "stop"
        assert model.generate(prompt, stop_strings=["never in there"], **call) == text


def test_stop_string_ends_the_work(model):
    text = model.generate("Once", seed=1, max_new_tokens=24, temperature=1.5)
    model.generate("Once", seed=1, max_new_tokens=24, temperature=1.5, stop_strings=text[:1])
    assert model.last_usage.new_tokens <= 4 and model.last_finish_reason == "stop"


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
def test_list_is_each_alone(model, parameters):
    prompts = PROMPTS + PROMPTS[:3]  # more than run at once
    call = {"max_new_tokens": 16, "seed": 11, **parameters}
    texts = model.generate(prompts, **call)
    reasons = model.last_finish_reason
    assert isinstance(texts, list) and len(texts) == len(reasons) == 13
    for prompt, text, reason in zip(prompts, texts, reasons):
        assert model.generate(prompt, **call) == text
        assert model.last_finish_reason == reason
    assert model.generate(tuple(prompts[:2]), **call) == texts[:2]


def test_empty_list(model):
    assert model.generate([]) == [] and model.last_finish_reason == []


def test_one_in_a_list_is_a_list(model):
    assert model.generate(["a"], **GREEDY) == [model.generate("a", **GREEDY)]


def test_threads_do_not_matter(tiny, model):
    with turbo(tiny, threads=1, verbose=False) as one, turbo(tiny, threads=3, verbose=False) as three:
        assert (one.report()["threads"], three.report()["threads"]) == (1, 3)
        for parameters in PARAMETERS.values():
            call = {"max_new_tokens": 16, "seed": 2, **parameters}
            assert one.generate(PROMPTS, **call) == three.generate(PROMPTS, **call) == model.generate(PROMPTS, **call)
        assert bytes(one.logits([1, 2, 3, 4, 5])) == bytes(three.logits([1, 2, 3, 4, 5]))


def test_earlier_calls_do_not_matter(tiny, model):
    call = {"max_new_tokens": 16, "seed": 3}
    with turbo(tiny, verbose=False) as fresh:
        expected = fresh.generate(PROMPTS[0], **call)
    model.generate(PROMPTS[0] + " and then", **call)
    assert model.generate(PROMPTS[0], **call) == expected
    assert model.last_usage.cached_tokens > 0
    model.logits(model.tokenize("something else"))
    assert model.generate(PROMPTS[0], **call) == expected


def test_greedy_has_two_names(model):
    for prompt in PROMPTS:
        text = model.generate(prompt, temperature=0, max_new_tokens=16)
        assert text == model.generate(prompt, do_sample=False, max_new_tokens=16)
        assert text == model.generate(prompt, temperature=0.0, seed=9, top_k=3, top_p=0.1, max_new_tokens=16)


def test_seed_fixes_the_text(model):
    call = {"max_new_tokens": 16, "temperature": 1.5, "top_k": 0}
    texts = {model.generate("Once", seed=seed, **call) for seed in (0, 1, 2**64 - 1)}
    assert len(texts) == 3
    assert {model.generate("Once", seed=seed, **call) for seed in (0, 1, 2**64 - 1)} == texts
    assert len({model.generate("Once", **call) for _ in range(4)}) == 4


def test_seed_of_turbo(tiny, model):
    """The n-th call takes the n-th output of SplitMix64 (published values for 0 and 1234567)."""
    outputs = {0: [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F],
               1234567: [6457827717110365317, 3203168211198807973, 9817491932198370423]}
    call = {"max_new_tokens": 16, "temperature": 1.5, "top_k": 0}
    for seed, expected in outputs.items():
        with turbo(tiny, seed=seed, verbose=False) as seeded:
            assert seeded.generate("Once", **call) == model.generate("Once", seed=expected[0], **call)
            seeded.generate("Once", seed=5, **call)  # has its own, does not count
            stream = seeded.generate("Once", stream=True, **call)
            assert "".join(stream) == model.generate("Once", seed=expected[1], **call)
            assert seeded.generate(["a", "b"], **call) == model.generate(["a", "b"], seed=expected[2], **call)


def test_numbers_by_protocol(model):
    expected = model.generate("Once", max_new_tokens=4, top_k=7, temperature=1.5, seed=8)
    same = {"max_new_tokens": Index(4), "top_k": Index(7), "temperature": Number(1.5), "seed": Index(8)}
    assert model.generate("Once", **same) == expected
    assert model.generate("Once", temperature=2, top_p=1, max_new_tokens=1, seed=1) is not None


def test_logit_bias(model):
    token = model.tokenize("a", add_special_tokens=False)[-1]
    call = {"max_new_tokens": 3, "temperature": 0, "repetition_penalty": 1.0}
    wanted = {token: 1e6}
    assert model.generate("Once", logit_bias=wanted, **call) == model.detokenize([token] * 3)
    all_but_one = {id: float("-inf") for id in range(model.report()["n_vocab"]) if id != token}
    assert model.generate("Once", logit_bias=all_but_one, **call) == model.detokenize([token] * 3)
    assert model.generate("Once", logit_bias={**wanted, token: float("-inf")}, **call) != model.detokenize([token] * 3)


def test_usage(model):
    prompt = "A prompt that no other test has"
    text = model.generate(prompt, **GREEDY)
    usage = model.last_usage
    assert isinstance(usage, Usage) and usage.prompt_tokens == len(model.tokenize(prompt))
    assert 1 <= usage.new_tokens <= 12 and usage.prompt_seconds >= 0 and usage.decode_seconds >= 0
    stream = model.generate(prompt, stream=True, **GREEDY)
    assert stream.usage.new_tokens == 0 and stream.finish_reason is None
    assert "".join(stream) == text
    assert stream.usage[:3] == (usage.prompt_tokens, usage.prompt_tokens - 1, usage.new_tokens)


def test_context_is_filled_and_then_ends(model):
    ids = model.tokenize("a b " * model.max_length)
    prompt = model.detokenize(ids[:model.max_length // 2], skip_special_tokens=True)
    model.generate(prompt, max_new_tokens=2**31 - 1, logit_bias=never_end(model), seed=1)
    assert model.last_finish_reason == "length"
    assert model.last_usage.prompt_tokens + model.last_usage.new_tokens <= model.max_length + 1
    assert model.last_usage.new_tokens > 2


def never_end(model):
    """Forbids the tokens that end a text."""
    eos = model.tokenizer.eos_id
    return {eos: float("-inf")} if eos is not None else None


def test_prompt_that_fills_the_context(tiny):
    with turbo(tiny, max_length=16, verbose=False) as small:
        n = len(small.tokenize("a" * 40))
        with pytest.raises(ValueError) as caught:
            small.generate("a" * 40)
        assert f"{n} tokens" in str(caught.value) and "context is 16" in str(caught.value)
        with pytest.raises(ValueError, match="^prompt 1: "):
            small.generate(["a", "a" * 40])


def test_empty_prompt(model):
    if model.tokenize(""):
        assert isinstance(model.generate("", **GREEDY), str)
    else:
        with pytest.raises(ValueError, match="prompt is empty"):
            model.generate("")


def test_nothing_is_printed(tiny, capfd):
    with turbo(tiny, verbose=False) as quiet:
        quiet.generate("a", **GREEDY)
        list(quiet.generate("a", stream=True, **GREEDY))
        quiet.chat([{"role": "user", "content": "a"}], **GREEDY)
    assert capfd.readouterr() == ("", "")


def test_verbose_is_one_line_on_stderr(tiny, capfd):
    turbo(tiny).close()
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("quantllm: tiny.gguf: ") and err.count("\n") == 1 and err.endswith(" s\n")


def test_stream_is_an_iterator(model):
    stream = model.generate("Once", stream=True, **GREEDY)
    assert isinstance(stream, Stream) and iter(stream) is stream
    with stream as same:
        assert same is stream
        next(stream)
    assert stream.finish_reason == "cancelled" and list(stream) == []
    stream.close()


def test_stream_left_early(model):
    """A loop that ends early costs nothing that follows, and many may be open at once."""
    expected = model.generate("Once", seed=1, max_new_tokens=16)
    for _ in range(20):
        for _ in model.generate("Once upon", stream=True, seed=2, max_new_tokens=100):
            break
    streams = [model.generate("Once", stream=True, seed=1, max_new_tokens=16) for _ in range(5)]
    texts = [""] * 5
    for _ in range(16):
        for i, stream in enumerate(streams):
            texts[i] += next(stream, "")
    for i, stream in enumerate(streams):
        texts[i] += "".join(stream)
    assert texts == [expected] * 5


def test_stream_keeps_its_model(tiny):
    assert "".join(turbo(tiny, verbose=False).generate("Once", stream=True, **GREEDY)) != ""


def test_chat(model):
    messages = [{"role": "system", "content": "Short."}, {"role": "user", "content": "Hi"}]
    copy = [dict(message) for message in messages]
    text = model.apply_chat_template(messages)
    assert text == "system: Short.\nuser: Hi\nassistant:"
    ids = model.apply_chat_template(messages, tokenize=True)
    assert ids == model.tokenize(text, add_special_tokens=False)
    answer = model.chat(messages, **GREEDY)
    assert messages == copy
    assert "".join(model.chat(messages, stream=True, **GREEDY)) == answer
    messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": "More"}]
    assert isinstance(model.chat(messages, **GREEDY), str)
    assert model.last_usage.cached_tokens > 3
    assert model.apply_chat_template(messages[:1], add_generation_prompt=False) == "system: Short.\n"


def test_template_of_ones_own(tiny_without_template, tmp_path):
    source = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    file = tmp_path / "own.jinja"
    file.write_text(source)
    for template in (source, file):
        with turbo(tiny_without_template, chat_template=template, verbose=False) as own:
            assert own.chat_template == source
            assert own.apply_chat_template([{"role": "user", "content": "Hi"}]) == "[Hi]"


def test_logits(model):
    ids = model.tokenize("Once upon a time")
    rows = model.logits(ids)
    assert rows.format == "f" and rows.shape == (len(ids), model.report()["n_vocab"]) and rows.itemsize == 4
    for n in range(1, len(ids)):
        assert bytes(model.logits(ids[:n])) == bytes(rows)[:n * rows.shape[1] * 4]
    assert bytes(model.logits(tuple(ids))) == bytes(model.logits(iter(ids))) == bytes(rows)


def test_greedy_takes_the_largest_logit(model):
    ids = model.tokenize("Once upon a time")
    call = {"temperature": 0, "repetition_penalty": 1.0, "logit_bias": never_end(model)}
    bias = call["logit_bias"] or {}
    chosen = []
    for _ in range(4):
        row = model.logits(ids + chosen).tolist()[-1]
        chosen.append(max(range(len(row)), key=lambda i: row[i] + bias.get(i, 0)))
    before, after = (model.detokenize(part, skip_special_tokens=True) for part in (ids, ids + chosen))
    assert after.startswith(before)
    assert model.generate("Once upon a time", max_new_tokens=4, **call) == after[len(before):]


def test_numpy(model):
    numpy = pytest.importorskip("numpy")
    ids = numpy.array(model.tokenize("Once"))
    rows = numpy.asarray(model.logits(ids))
    assert rows.dtype == numpy.float32 and rows.shape[0] == len(ids) and rows.flags.c_contiguous
    assert model.generate("Once", seed=numpy.int64(1), top_k=numpy.uint8(3), temperature=numpy.float32(0.5),
                          do_sample=numpy.bool_(True), max_new_tokens=numpy.int32(2)) is not None


def test_report(model, tiny):
    report = model.report()
    upstream = {"model_id", "params_billion", "requested_bits", "effective_loading_bits", "is_quantized",
                "quant_method", "device", "dtype", "finetuned", "lora_applied"}
    assert upstream <= set(report)
    assert report["model_id"] == report["file"] == report["source"] == str(tiny)
    assert report["from_cache"] is False
    assert report["architecture"] == "llama" and report["device"] == "cpu" and report["has_chat_template"] is True
    assert report["isa"] in ("scalar", "avx2", "avx512")
    assert report["max_length"] == model.max_length <= report["context_length"]
    for name in ("n_params", "file_bytes", "weight_bytes", "kv_bytes", "bytes_per_token", "n_vocab", "n_layers"):
        assert isinstance(report[name], int) and report[name] > 0, name
    assert repr(model).startswith(f"TurboModel({str(tiny)!r}, ") and model.quantization == report["quantization"]


def distance(a, b):
    """Mean squared difference of two sets of logits, as a part of the mean square."""
    pairs = [(x, y) for row, other in zip(a.tolist(), b.tolist()) for x, y in zip(row, other)]
    return sum((x - y) ** 2 for x, y in pairs) / sum(y * y for _, y in pairs)


@pytest.mark.parametrize("stored, bits", [("F32", 32), ("Q8_0", 8), ("Q4_1", 4)])
def test_quantizations(make_tiny, stored, bits):
    path = make_tiny(f"{stored}.gguf", "--dtype", stored.lower())
    ids = [1, 2, 3, 50, 60]
    with turbo(path, verbose=False) as plain:
        report = plain.report()
        assert report["quantization"] == report["file_type"] == stored and report["effective_loading_bits"] == bits
        assert report["is_quantized"] == (bits < 16) and report["requested_bits"] is None
        logits = plain.logits(ids)
    by_type = [{"quantization": stored}] if bits < 16 else []  # of F32 that is the reference
    for options in ({"quantization": "auto"}, *by_type):
        with turbo(path, verbose=False, **options) as same:
            assert same.quantization == stored and bytes(same.logits(ids)) == bytes(logits)
    reference = turbo(path, quantization="F32", verbose=False)
    with reference, turbo(path, dtype="float32", verbose=False) as same:
        assert reference.quantization == same.quantization == "F32"
        assert bytes(reference.logits(ids)) == bytes(same.logits(ids))
        assert distance(logits, reference.logits(ids)) < 0.01
