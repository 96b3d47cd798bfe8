# SPDX-License-Identifier: MIT
"""Renders every template of a folder for many conversations, with jinja2 and with this library: the texts must be equal,
or both must refuse.

    python compare_templates.py path/to/libquantllm.so FOLDER [how many conversations, 300] [seed]

A conversation is put together from parts: roles in and out of order, contents of every kind that people send, reasoning,
tool calls in several shapes, tools, documents and the variables that templates of models ask for.
"""
import pathlib
import random
import sys

import jinja_oracle

NOW = 1795694400
TEXTS = ["What is machine learning?", "", " \n padded \t\n", "Zürich 東京 👩‍💻 e\u0301", "line\nline\r\n\nline", "<think>why</think>\n\nso",
         "</think>", "<think>\nopen", "{\"a\": [1, 2.0, null]}", "'quoted' \"text\" \\ <b>&amp;", "<|im_end|>[INST]</s><eos>", "/no_think",
         "<tool_response>x</tool_response>", "a" * 300, "\u2028\u0085\x1f", "none"]
CONTENTS = [None, 5, 1.5, True, [], {}, [{"type": "text", "text": "part one"}, {"type": "text", "text": " two"}],
            [{"type": "image"}, {"type": "text", "text": "look"}], [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}],
            [{"type": "image", "image": "x.png"}, {"type": "video", "video": "v.mp4"}, {"type": "audio", "audio": "a.wav"}],
            ["plain", "strings"], [{"text": "no type"}], [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so"}],
            {"temp": 21.5, "sky": "café"}, [{"type": "tool_reference", "name": "f"}], [{"type": "output", "output": "o"}]]
ROLES = ["user", "assistant", "system", "tool", "developer", "function", "ipython", "observation", "model", "tool_response", "latest_reminder",
         "User", "critic"]
ARGUMENTS = [{}, {"city": "Zürich"}, {"a": 1, "b": [1.0, 1e-7, None, True], "c": {"d": "e\n\"f\""}}, "{\"city\": \"Paris\", \"n\": 2}", "", "not json",
             None, {"code": "print('<x>')\nif a < b:\n\tpass", "empty": "", "t": True}, [1, 2], {"s": " padded ", "n": -0.0, "big": 2**53}]
PARAMETERS = [
    {"type": "object", "properties": {}}, None,
    {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "The city's name & \"more\""},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        "days": {"type": "integer", "minimum": 1, "maximum": 18446744073709551615},
        "near": {"type": "array", "items": {"type": "number"}, "default": [0.1, 1e-05, 1e20, -3.0]},
        "deep": {"type": "object", "properties": {"x": {"type": ["string", "null"]}, "y": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}},
        "any": {}, "many": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object", "properties": {"z": {"type": "boolean"}}}}]}},
     "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
                                      "b": {"$ref": "#/$defs/B"}, "c": {"type": "string", "nullable": True, "description": "multi\nline"}},
     "$defs": {"B": {"type": "integer"}}}]
VARIABLES = {
    "enable_thinking": [True, False], "thinking": [True, False], "reasoning_effort": ["low", "medium", "high", "max", "none", 5],
    "thinking_budget": [0, 512, -1], "clear_thinking": [True, False], "preserve_thinking": [True, False], "builtin_tools": [["browser", "python"], []],
    "custom_tools": [[{"name": "c", "description": "d", "parameters": {"type": "object", "properties": {}}}]], "date_string": ["26 Jul 2024"],
    "tools_in_user_message": [True, False], "model_identity": ["I am it."], "documents": [
        [], [{"title": "T", "text": "Text."}], [{"doc_id": 1, "title": "é", "text": "a\nb"}, {"content": "c"}]],
    "citation_options": ["on", "off"], "safety_mode": ["STRICT", "NONE"], "controls": [{"length": "short", "originality": "x"}],
    "system_prompt": ["Own system."], "keep_past_thinking": [True], "add_vision_id": [True], "tool_choice": ["none", "auto", "required"],
    "response_format": [{"type": "json_object"}], "json_schema": [{"type": "object"}], "current_date": ["2026-11-26"],
    "tool_call_format": ["xml", "json"], "xml_tools": [[{"name": "x", "parameters": {"properties": {}}}]], "python_tools": [[]],
    "add_nothink_token": [True], "skip_thinking": [True], "reasoning": [True, False], "truncate_history_thinking": [False],
    "default_system": ["D"], "user_memory": ["likes tea"], "persona": ["calm"], "language": ["de"], "continue_final_message": [True],
    "force_reasoning": [True], "is_nothink": [True], "add_default_system_prompt": [True], "pad_token": ["<pad>"], "unk_token": ["<unk>"]}


class Maker:
    def __init__(self, rng):
        self.rng = rng

    def content(self):
        return self.rng.choice(TEXTS) if self.rng.random() < 0.8 else self.rng.choice(CONTENTS)

    def call(self):
        function = {"name": self.rng.choice(["get_weather", "f", "browser.search", "日本"]), "arguments": self.rng.choice(ARGUMENTS)}
        call = {"type": "function", "function": function} if self.rng.random() < 0.85 else function
        if self.rng.random() < 0.7:
            call["id"] = self.rng.choice(["abc123def", "call_1", "functions.f:0", 7])
        return call

    def message(self, role):
        message = {"role": role, "content": self.content()}
        if role in ("assistant", "model") and self.rng.random() < 0.4:
            message["tool_calls"] = [self.call() for _ in range(self.rng.choice([1, 1, 2, 0]))]
            if self.rng.random() < 0.3:
                message["content"] = self.rng.choice([None, ""])
        if role in ("assistant", "model") and self.rng.random() < 0.4:
            message[self.rng.choice(["reasoning_content", "thinking", "reasoning"])] = self.content()
        if role in ("tool", "function", "ipython", "observation") and self.rng.random() < 0.8:
            message.update(name="get_weather", tool_call_id=self.rng.choice(["abc123def", "call_1", "x"]))
        if self.rng.random() < 0.04:
            message[self.rng.choice(["name", "tools", "documents", "prefix", "metadata", "phase", "channel"])] = self.content()
        if self.rng.random() < 0.03:
            message.pop("content")
        return message

    def messages(self):
        rng = self.rng
        if rng.random() < 0.03:
            return []
        roles = ["system"] if rng.random() < 0.5 else []
        for _ in range(rng.randrange(1, 5)):
            roles += ["user", "assistant"]
            if rng.random() < 0.4:
                roles += ["tool"] * rng.choice([1, 2]) + ["assistant"]
        if rng.random() < 0.75:
            roles.append("user")
        for _ in range(rng.choice([0, 0, 0, 1, 2])):  # out of order
            roles.insert(rng.randrange(len(roles) + 1), rng.choice(ROLES))
        return [self.message(role) for role in roles]

    def tool(self):
        function = {"name": self.rng.choice(["get_weather", "f"]), "description": self.rng.choice(TEXTS), "parameters": self.rng.choice(PARAMETERS)}
        if self.rng.random() < 0.2:
            function["return"] = {"type": "string", "description": "r"}
        if self.rng.random() < 0.1:
            function.pop(self.rng.choice(["description", "parameters"]))
        return {"type": "function", "function": function} if self.rng.random() < 0.9 else function

    def case(self):
        rng = self.rng
        names = [name for name in VARIABLES if rng.random() < 0.07]
        return {"messages": self.messages(), "tools": rng.choice([None, None, [], [self.tool()], [self.tool(), self.tool()]]),
                "variables": {name: rng.choice(VARIABLES[name]) for name in names}, "now": NOW,
                "add_generation_prompt": rng.random() < 0.7}


def main():
    library, folder = jinja_oracle.Library(sys.argv[1]), pathlib.Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    total = wrong = texts = 0
    for path in sorted(folder.glob("*.jinja")):
        maker = Maker(random.Random(f"{seed} {path.name}"))
        source, told = path.read_text(encoding="utf-8"), 0
        for _ in range(count):
            case = {"source": source, **maker.case()}
            want, got = jinja_oracle.expected(case), library.render(case)
            total += 1
            texts += "text" in want
            if want.get("text") == got.get("text"):
                continue
            wrong += 1
            told += 1
            if told <= 2:
                case.pop("source")
                print(f"{path.name}\n  case {case}\n  want {str(want)[:1500]}\n  got  {str(got)[:1500]}")
    print(f"seed {seed}: {total} renders, {texts} of them texts, {wrong} different")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
