"""A small made-up lock with its files, and a local web server that can misbehave."""

import contextlib
import dataclasses
import hashlib
import io
import tarfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

from benchmarks.data.fetch import Upstream
from benchmarks.data.lock import parse_lock, read_lock

REVISION = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/bench"

FILES = {
    "short.jsonl": ("prompts/short.jsonl", b'{"prompt": "a red cup"}\n' * 9),
    "sets/short.jsonl": ("data/sets/short.jsonl", b'{"prompt": "another file of that name"}\n' * 5),
    "names+1.txt": ("prompts/names+1.txt", "cup\nK\u00fcchenmesser\n".encode()),
}
"""Name -> path in the repository, content."""

TEXTS = {"1": "first text", "10": "tenth\ntext", "2": " second "}
JSONL = '{"id": "1", "text": "first text"}\n{"id": "10", "text": "tenth\\ntext"}\n{"id": "2", "text": " second "}\n'


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def write_lock(folder, **more):
    """A lock file `toy.yaml` and the lock in it."""
    files = [{"name": n, "path": p, "sha256": sha256(d), "bytes": len(d)} for n, (p, d) in FILES.items()]
    raw = {
        "benchmark": "toy",
        "paper": "arXiv:0000.00000",
        "sources": [{"repository": REPOSITORY, "revision": REVISION, "licence": "MIT", "files": files}],
        **more,
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return parse_lock(path)


def write_checkout(folder, files=FILES):
    """The files where the repository has them."""
    for path, data in files.values():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def rows_lock():
    """The shipped lock of GEdit-Bench without the judge prompts."""
    return dataclasses.replace(read_lock("gedit"), scripts=[], sources=[])


def collection():
    return {"folder": "bench/prompts", "name": "prompts.jsonl", "sha256": sha256(JSONL.encode()), "files": len(TEXTS)}


def tarball(members):
    """A .tar.gz with name -> content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def tree(folder):
    """Every file below a folder: relative path -> content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Web:
    """What the server has and how it behaves."""

    def __init__(self):
        self.content = {}
        self.requests = []
        """(path, Range header)."""
        self.cut = {}
        """Path -> bytes after which the first answer breaks off."""
        self.faults = Counter()
        """Path -> how many requests are answered with 503 first."""
        self.ranges = True

    def urls(self):
        return [path for path, _ in self.requests]


@contextlib.contextmanager
def serving(web):
    """A server on 127.0.0.1 and the addresses that lead to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.requests.append((self.path, self.headers.get("Range")))
            if web.faults[self.path] > 0:
                web.faults[self.path] -= 1
                return self.send_error(503)
            if self.path not in web.content:
                return self.send_error(404)
            data = web.content[self.path]
            start = 0
            if web.ranges and self.headers.get("Range"):
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                if start >= len(data):
                    return self.send_error(416)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : web.cut.pop(self.path, len(data))])
            return None

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield Upstream(raw=f"{base}/raw", archive=f"{base}/archive", packages=f"{base}/packages")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def raw_path(path):
    return f"/raw/{REPOSITORY}/{REVISION}/{path.replace('+', '%2B')}"
