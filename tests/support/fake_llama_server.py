"""A llama-server for tests: fake_llama_server.py MODE [its options].

Speaks as the real one does, in the format of its answers, at once or with the failure that MODE
names. Its figures follow from its options, so that a test knows which setting is the fastest:
prompts run at 100 tokens/s for each token of --ubatch-size, answers at 1000 tokens/s for each of
--threads; with --spec-type ngram-simple an answer takes a fifth of the time by the wall clock.
"""
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HELP = """----- common params -----

-h,    --help, --usage                  print usage and exit
--version                               show version and build info
-t,    --threads N                      number of CPU threads to use during generation (default: -1)
                                        (env: LLAMA_ARG_THREADS)
-tb,   --threads-batch N                number of threads to use during batch and prompt processing
-c,    --ctx-size N                     size of the prompt context (default: 0)
-b,    --batch-size N                   logical maximum batch size (default: 2048)
-ub,   --ubatch-size N                  physical maximum batch size (default: 512)
-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off', or 'auto')
-ctk,  --cache-type-k TYPE              KV cache data type for K
-ctv,  --cache-type-v TYPE              KV cache data type for V
-dev,  --device <dev1,dev2,..>          comma-separated list of devices
--list-devices                          print list of available devices and exit
-ngl,  --gpu-layers, --n-gpu-layers N   max. number of layers to store in VRAM
-lm,   --load-mode MODE                 model loading mode (default: auto)
--repack, -nr, --no-repack              whether to enable weight repacking (default: enabled)
-m,    --model FNAME                    model path to load
-np,   --parallel N                     number of server slots


----- speculative params -----

--spec-draft-n-max N                    number of tokens to draft
--spec-draft-model, -md, --model-draft FNAME
                                        draft model for speculative decoding (default: unused)
--spec-type none,draft-simple,ngram-simple
                                        comma-separated list of types
--draft, --draft-n, --draft-max N       the argument has been removed. use --spec-draft-n-max or
                                        --spec-ngram-mod-n-max
--spec-ngram-simple-size-n N            ngram size N for ngram-simple speculative decoding
--spec-ngram-simple-size-m N            ngram size M for ngram-simple speculative decoding

----- example-specific params -----

--host HOST                             ip address to listen
--port PORT                             port to listen
"""


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


MODE = sys.argv[1]
UBATCH = int(option("--ubatch-size", "512"))
THREADS = int(option("--threads", "1"))
SPECULATES = option("--spec-type", "") == "ngram-simple"
WORDS = ["one", "two", "three"]


def figures(prompt_tokens, answer_tokens):
    timings = {
        "cache_n": 0,
        "prompt_n": prompt_tokens,
        "prompt_ms": 1000 * prompt_tokens / (100 * UBATCH),
        "predicted_n": answer_tokens,
        "predicted_ms": 1000 * max(0, answer_tokens - 1) / (1000 * THREADS),
    }
    if SPECULATES:
        timings.update(draft_n=10, draft_n_accepted=7)
    return timings


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, value, status=200, kind="application/json"):
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if MODE == "hangs":
            self.answer({"error": {"code": 503, "message": "Loading model"}}, 503)
        else:
            self.answer({"status": "ok"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            self.answer({"tokens": list(range(1, 1 + len(body["content"].split())))})
        elif self.path == "/apply-template":
            self.answer({"prompt": "<q>" + body["messages"][0]["content"] + "<a>"})
        elif self.path == "/completion":
            self.complete(body)
        else:
            self.answer({"error": {"code": 404, "message": "File Not Found"}}, 404)

    def complete(self, body):
        if MODE == "breaks":
            sys.stderr.write("0.00.072.349 E ggml_cuda: error: CUDA error: an illegal access\n")
            sys.stderr.flush()
            import os
            os._exit(134)
        if MODE == "silent":
            time.sleep(60)
        if MODE == "refuses":
            self.answer({"error": {"code": 400, "message": "the request exceeds the context"}}, 400)
            return
        if MODE == "nonsense":
            self.answer("<html>no JSON</html>", kind="text/html")
            return
        prompt = body["prompt"]
        prompt_tokens = len(prompt.split()) if isinstance(prompt, str) else len(prompt)
        count = body["n_predict"]
        text = "".join(" " + WORDS[i % 3] for i in range(count))
        if isinstance(prompt, str):
            text = prompt[-8:] + text
            time.sleep(0.004 if SPECULATES else 0.02)
        if MODE == "other-words" and SPECULATES:
            text += " else"
        last = {
            "content": text,
            "tokens": list(range(count + (1 if text.endswith("else") else 0))),
            "stop": True,
            "stop_type": "limit",
            "timings": figures(prompt_tokens, count),
        }
        if body.get("stream"):
            first = {"content": text, "tokens": last["tokens"], "stop": False}
            last = dict(last, content="", tokens=[])
            self.answer("data: " + json.dumps(first) + "\n\ndata: " + json.dumps(last) + "\n\n",
                        kind="text/event-stream")
        else:
            self.answer(last)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Looking up its own name may ask the network.
    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]


def main():
    if "--help" in sys.argv:
        print(HELP)
    elif "--version" in sys.argv:
        sys.stderr.write("version: 4567 (3e0ba0e6)\nbuilt with cc\n")
    elif "--list-devices" in sys.argv:
        print("Available devices:")
        print("  CUDA0: NVIDIA GeForce RTX 2060 (5926 MiB, 5800 MiB free)" if MODE == "card"
              else "  (none)")
    elif (MODE == "dies" or (MODE == "dislikes-64" and UBATCH == 64)
          or (MODE == "dislikes-bad" and option("--model", "").endswith("bad.gguf"))):
        sys.stderr.write("I loading\nE load_model: failed to load model, 'x.gguf'\nI cleaning up\n")
        return 1
    elif MODE == "no-memory":
        sys.stderr.write("ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9000.00 MiB on "
                         "device 0: cudaMalloc failed: out of memory\n")
        return 1
    else:
        Server(("127.0.0.1", int(option("--port", "0"))), Handler).serve_forever()
    return 0


sys.exit(main())
