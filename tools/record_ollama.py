#!/usr/bin/env python3
"""Records what a running Ollama answers, for the tests that replay it.

  tools/record_ollama.py HOST:PORT MODEL.gguf OUT.json

Makes two models of MODEL there ("tiny:1b" with a template, a system prompt and parameters, "plain"
with none), asks what trimma asks, writes every answer as it came, and deletes both. Start it with a
store of its own, for the answers name its folder:

  OLLAMA_HOST=127.0.0.1:11500 OLLAMA_MODELS=/tmp/ollama-models ollama serve
"""

import hashlib
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

OPTIONS = {"num_predict": 6, "temperature": 0, "seed": 1}
QUESTION = [{"role": "user", "content": "How are you?"}]
CALLS = [
    ("GET", "/api/version", None),
    ("GET", "/api/tags", None),
    ("POST", "/api/show", {"model": "tiny:1b"}),
    ("POST", "/api/show", {"model": "plain"}),
    ("POST", "/api/show", {"model": "absent"}),
    ("POST", "/api/generate", {"model": "tiny:1b", "stream": True, "options": OPTIONS,
                               "prompt": "one two three four five six", "raw": True}),
    ("POST", "/api/chat", {"model": "tiny:1b", "messages": QUESTION, "stream": True,
                           "options": OPTIONS}),
    ("POST", "/api/chat", {"model": "plain", "messages": QUESTION, "stream": True,
                           "options": OPTIONS}),
    ("POST", "/api/generate", {"model": "plain", "stream": True, "options": OPTIONS,
                               "prompt": "How are you?", "raw": True}),
    ("GET", "/api/ps", None),
    ("POST", "/api/generate", {"model": "absent", "stream": True, "options": OPTIONS,
                               "prompt": "one", "raw": True}),
    ("POST", "/api/chat", {"model": "absent", "messages": QUESTION, "stream": True,
                           "options": OPTIONS}),
    ("POST", "/api/generate", {"model": "tiny:1b", "keep_alive": 0}),
]


def ask(host, method, path, data):
    request = urllib.request.Request(f"http://{host}{path}", data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


def tell(host, method, path, body):
    status, _, answer = ask(host, method, path, json.dumps(body).encode())
    if status != 200 or b'"error"' in answer:
        sys.exit(f"{path}: {status} {answer.decode(errors='replace')}")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    host, model, out = sys.argv[1:]
    weights = Path(model).read_bytes()
    digest = "sha256:" + hashlib.sha256(weights).hexdigest()
    if ask(host, "HEAD", f"/api/blobs/{digest}", None)[0] != 200:
        ask(host, "POST", f"/api/blobs/{digest}", weights)
    files = {"model.gguf": digest}
    settings = {"num_ctx": 256, "num_thread": 1}
    tell(host, "POST", "/api/create",
         {"model": "tiny:1b", "files": files, "template": "<q>{{ .System }}{{ .Prompt }}<a>",
          "system": "Be brief.", "license": "Anyone may.",
          "parameters": settings | {"stop": ["<q>"], "top_p": 0.5}})
    tell(host, "POST", "/api/create", {"model": "plain", "files": files, "parameters": settings})
    recorded = []
    for method, path, body in CALLS:
        status, kind, answer = ask(host, method, path, json.dumps(body).encode() if body else None)
        recorded.append({"method": method, "path": path, "request": body, "status": status,
                         "type": kind, "body": answer.decode()})
    for name in ("tiny:1b", "plain"):
        tell(host, "DELETE", "/api/delete", {"model": name})
    Path(out).write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
