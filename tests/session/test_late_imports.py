"""Nothing is imported once the runtime runs: a page that starts from a snapshot has no library to import from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

WORK = """
import json, sys
from tests.session.scripted_model import scripted_model
from tests.engine.models import config, random_file
from tinypylm.config import DType
from tinypylm.hosts.native import NativeHost
from tinypylm.app import App
model = scripted_model(b"abcdefgh", context_length=512, ends=False)
quantised = random_file(config(quantization=DType.Q4_0))
app = App(NativeHost(byte_dots=True), lambda *token: None, lambda: False)
before = set(sys.modules)
codes = []
def ask(method, data=b"", **params):
    answer = json.loads(app.request(method, json.dumps(params), data))
    codes.append(answer["error"]["code"] if "error" in answer else "")
    return answer.get("result")
def generate(**params):
    ask("start", **params)
    while ask("advance", budget_ms=50)["finished"] is False: pass
ask("load", b"no model")
ask("inspect", model[:108])
for data in (quantised, model):
    ask("load", data)
    for prompt in ("Once", "\\ud800 \\U0001f600", "na\\u00efve \\u0663\\u5b57"):
        generate(prompt=prompt, options={"max_tokens": 4, "stop_strings": ["zz"], "temperature": 0.7, "top_k": 9,
                                         "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.1, "top_logprobs": 2})
generate(prompt="a", options={"max_tokens": 20, "receipt": True})
for method, params in (("tokenize", {"prompt": "\\udfff"}), ("detokenize", {"ids": [97, 98]}), ("step", {}),
                       ("diagnostics", {}), ("rehearse", {}), ("derive", {}), ("calibrate", {"seconds": 0.01}),
                       ("start", {"prompt": "", "options": {}}), ("start", {"prompt": "a", "options": {"top_k": -1}}),
                       ("start", {"prompt": "a", "options": {"sed": 1}}), ("nonsense", {}),
                       ("start", {"messages": [{"role": "user", "content": "a"}], "options": {}})):
    ask(method, **params)
ask("validate_adapter", b"no adapter", scale=1)
ask("replay", b"{}")
ask("free")
print(json.dumps([sorted(set(sys.modules) - before), codes]))
"""


def test_a_runtime_at_work_imports_nothing(repo_root: Path) -> None:
    run = subprocess.run([sys.executable, "-c", WORK], cwd=repo_root, capture_output=True, text=True, check=True)
    imported, codes = json.loads(run.stdout.splitlines()[-1])
    assert imported == []
    assert codes.count("") > 20
    assert {"EmptyPrompt", "OptionOutOfRange", "UnknownOption", "NoChatFormat"} <= set(codes)
