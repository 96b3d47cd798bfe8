#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The guide (docs/text-generation.md) as a script: python guide.py [path/to/model.gguf]"""
import sys

from quantllm import turbo

model = turbo(sys.argv[1] if len(sys.argv) > 1 else "TinyLlama/TinyLlama-1.1B-Chat-v1.0")


def title(text):
    print(f"\n== {text}", flush=True)


title("Basic generation")
response = model.generate("What is machine learning?")
print(response)

title("Generation parameters")
response = model.generate(
    prompt="Explain quantum computing.",
    max_new_tokens=200,        # Maximum tokens to generate
    temperature=0.7,           # Creativity (0.0 = deterministic, 1.0 = creative)
    top_p=0.9,                 # Nucleus sampling
    top_k=50,                  # Top-k sampling
    repetition_penalty=1.1,    # Prevent repetition
    do_sample=True,            # Enable sampling
)
print(response)

title("Chat")
messages = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "What is Python?"},
]
response = model.chat(messages, max_new_tokens=100)
print(response)

# Continue conversation
messages.append({"role": "assistant", "content": response})
messages.append({"role": "user", "content": "What about JavaScript?"})
title("Chat, continued")
response = model.chat(messages)
print(response)

title("Streaming")
for token in model.generate("Count from 1 to 10:", stream=True):
    print(token, end="", flush=True)
print()  # Newline at end

title("Stop strings")
response = model.generate(
    "Write a poem:\n",
    max_new_tokens=200,
    stop_strings=["The End", "\n\n\n"],
)
print(response)

title("Many prompts")
prompts = [
    "What is Python?",
    "What is JavaScript?",
    "What is Rust?",
]
for prompt in prompts:
    response = model.generate(prompt, max_new_tokens=50)
    print(f"Q: {prompt}")
    print(f"A: {response}\n")

title("Many prompts, as one batch")
for prompt, response in zip(prompts, model.generate(prompts, max_new_tokens=50)):
    print(f"Q: {prompt}")
    print(f"A: {response}\n")
