"""Random dialogues of fixed seeds for make_llama_factory_fixtures.py: odd texts, tools, calls and settings."""

import json

PARTS = ["hello", "世界", " the", "\n", "  ", "\n\n", "é", "🙂", "<|im_end|>", "</s>", "<s>", "###", "<think>", "</think>",
         "<|user|>", "{{idx", "Human:", " Assistant:", "123", "3.14", "\t", "\r\n", "▁", "ﬁ", "[INST]", "<|endoftext|>",
         "`code`", "Ünï", "한국어", "a", "B.", "</tool_call>", "◁think▷", "◁/think▷", "<eoa>", "\u00a0"]
NUMBERS = [1.0, 0, -3, 1e-7, 12345678901234567890, 2.5e20]


class RandomDialogues:
    def __init__(self, random):
        self.random = random

    def text(self, parts=12):
        choose = self.random.choice
        return "".join(choose(PARTS) + choose(["", "", " "]) for _ in range(self.random.randint(1, parts)))

    def value(self, depth=0):
        kind = self.random.randint(0, 6 if depth < 2 else 4)
        if kind == 5:
            return {self.text(1): self.value(depth + 1) for _ in range(self.random.randint(0, 3))}
        if kind == 6:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]
        return [None, True, self.random.choice(NUMBERS), self.text(3), 'x"y'][kind]

    def one_call(self):
        names = self.random.sample(["a", "b", "c", "2", "1"], self.random.randint(0, 3))
        return {"name": self.random.choice(["f", "get_weather"]), "arguments": {name: self.value() for name in names}}

    def call(self):
        calls = self.one_call() if self.random.random() < 0.7 else [self.one_call(), self.one_call()]
        thought = f"<think>{self.text(2)}</think>" if self.random.random() < 0.3 else ""
        return thought + json.dumps(calls, ensure_ascii=self.random.random() < 0.5)

    def parameter(self):
        members = (("type", self.random.choice(["string", "integer", ["string", "null"]])),
                   ("description", self.text(3)), ("enum", ["x", "y"]), ("items", {"type": "string"}))
        return {key: value for key, value in members if self.random.random() < 0.6}

    def tool(self):
        names = self.random.sample(["a", "b", "c", "2"], self.random.randint(0, 3))
        properties = {name: self.parameter() for name in names}
        required = [name for name in names if self.random.random() < 0.5]
        tool = {"name": "f", "description": self.text(3),
                "parameters": {"type": "object", "properties": properties, "required": required}}
        return tool if self.random.random() < 0.5 else {"type": "function", "function": tool}

    def dialogue(self):
        messages = []
        for turn in range(self.random.randint(1, 3)):
            role = "observation" if turn and self.random.random() < 0.3 else "user"
            messages.append({"role": role, "content": self.text()})
            is_call = self.random.random() < 0.3
            content = self.call() if is_call else self.text()
            messages.append({"role": "function" if is_call else "assistant", "content": content})
        dialogue = {"messages": messages}
        if self.random.random() < 0.5:
            dialogue["system"] = self.text()
        if self.random.random() < 0.4:
            tools = [self.tool() for _ in range(self.random.randint(1, 2))]
            dialogue["tools"] = json.dumps(tools, ensure_ascii=self.random.random() < 0.5)
        return dialogue

    def settings(self):
        cutoff = self.random.choice([None, None, self.random.randint(40, 200)])
        settings = {"mask_history": self.random.random() < 0.3,
                    "enable_thinking": self.random.choice([True, False, None])}
        if cutoff is not None:
            settings["cutoff_len"] = cutoff
        if not settings["mask_history"] and self.random.random() < 0.2:
            settings["train_on_prompt"] = True
        return settings
