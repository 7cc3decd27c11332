"""A registry and a Hugging Face on loopback, with one large file; counts the bytes it sends.

Both layouts are served: /v2/library/bench/... as Ollama's registry has it, and
/api/models/user/bench/... with /user/bench/resolve/... as Hugging Face's.
"""

import hashlib
import json
import os
import re
import socket
import threading
import time

CONFIG = json.dumps({"model_format": "gguf", "model_type": "1B", "file_type": "F16"}).encode()
COMMIT = "c0ffee" * 6 + "c0ff"
PIECE = 1 << 16


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ModelServer:
    """`rate`: bytes a second over all connections; None: as fast as it goes."""

    def __init__(self, path, sha256, rate=None):
        self.path, self.sha256, self.rate = path, sha256, rate
        self.size = os.path.getsize(path)
        self.file = os.open(path, os.O_RDONLY)
        self.sent = 0
        self.lock = threading.Lock()
        self.due = time.monotonic()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def documents(self):
        config = hashlib.sha256(CONFIG).hexdigest()
        manifest = {"schemaVersion": 2,
                    "config": {"digest": f"sha256:{config}", "size": len(CONFIG)},
                    "layers": [{"mediaType": "application/vnd.ollama.image.model",
                                "digest": f"sha256:{self.sha256}", "size": self.size}]}
        tree = [{"type": "file", "path": "bench-F16.gguf", "size": self.size, "oid": "0" * 40,
                 "lfs": {"oid": self.sha256, "size": self.size}}]
        refs = {"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}]}
        return {"/v2/library/bench/manifests/latest": json.dumps(manifest).encode(),
                f"/store/sha256:{config}": CONFIG,
                "/api/models/user/bench/refs": json.dumps(refs).encode(),
                f"/api/models/user/bench/tree/{COMMIT}": json.dumps(tree).encode()}

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        documents = self.documents()
        try:
            with connection, connection.makefile("rb") as reader:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.rate:
                    # What is counted as sent should have left this side.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 15)
                while line := reader.readline():
                    path = line.split()[1].decode().split("?")[0]
                    first, last, whole = 0, self.size - 1, True
                    while (header := reader.readline().strip()):
                        if asked := re.match(rb"(?i)range: bytes=(\d+)-(\d*)$", header):
                            whole = False
                            first = int(asked[1])
                            last = min(int(asked[2] or last), last)
                    if path in documents:
                        body = documents[path]
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    elif "/blobs/sha256:" in path:
                        # To another host, as Ollama's registry does and Ollama insists on.
                        store = f"http://localhost:{self.host.split(chr(58))[1]}/store/{path.rsplit('/', 1)[1]}"
                        connection.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n"
                                           b"Location: %s\r\n\r\n" % store.encode())
                    elif path.startswith("/store/") or "/resolve/" in path:
                        self.send_file(connection, first, last, whole)
                    else:
                        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            pass  # the client was killed: that is what this server is for

    def send_file(self, connection, first, last, whole):
        head = "HTTP/1.1 200 OK\r\n" if whole else (
            f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{self.size}\r\n")
        connection.sendall(f"{head}Content-Length: {last - first + 1}\r\nETag: \"1\"\r\n\r\n".encode())
        while first <= last:
            count = min(last - first + 1, PIECE if self.rate else 1 << 22)
            if self.rate:
                self.wait(count)
            sent = os.sendfile(connection.fileno(), self.file, first, count)
            if sent == 0:
                return
            first += sent
            with self.lock:
                self.sent += sent

    def wait(self, count):
        with self.lock:
            self.due = max(self.due, time.monotonic()) + count / self.rate
            due = self.due
        time.sleep(max(0, due - time.monotonic()))
