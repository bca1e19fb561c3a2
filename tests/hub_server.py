"""A server on the loopback that speaks the Hub's protocol, as far as the real client uses it, and fails on request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

GOOD_TOKEN = "hf_good"
LARGE = (".safetensors", ".bin", ".pt", ".pth", ".th", ".ckpt", ".nemo", ".onnx")


@dataclass
class Repo:
    """A repository: its commits, each with all its files, and the commit that each branch is at."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        content = {**self.commits.get(self.refs.get(branch, ""), {}), **files}
        name = hashlib.sha1(repr((len(self.commits), sorted(content.items()))).encode()).hexdigest()
        self.commits[name], self.refs[branch] = content, name
        return name


@dataclass
class Hub:
    """What the server holds, and what it was asked.

    Attributes:
        faults: what goes wrong with the body of a file, by its name: `cut`, `cut once`, `cut, then refused` or
            `garbled`; `slow` sends it in pieces.
        status: a status that every request is answered with, if not 0.
        requests: methods and paths, in order.
    """

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    status: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, files: Mapping[str, bytes], **options: bool) -> str:
        """Make a repository with one commit, and return the commit's name."""
        return self.repos.setdefault(name, Repo(**options)).commit(files)

    def asked(self, method: str) -> list[str]:
        return [path for asked, path in self.requests if asked == method]


class _Refusal(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer()

    do_GET = do_POST = do_PUT = do_HEAD

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.hub.tokens.append(self.token)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.hub.status:
                raise _Refusal(self.hub.status)
            for method, pattern, handle in _ROUTES:
                if self.command in method and (found := re.fullmatch(pattern, path)):
                    return handle(self, *found.groups())
            raise _Refusal(404)
        except _Refusal as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
            self._send(refusal.status, b"", {name: text for name, text in headers.items() if text})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_slowly(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(body), 1 << 16):
            self.wfile.write(body[start : start + (1 << 16)])
            time.sleep(0.002)

    def _json(self, document: Any) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _repo(self, name: str) -> Repo:
        repo = self.hub.repos.get(name)
        if self.token and self.token != GOOD_TOKEN:
            raise _Refusal(401, message="Invalid credentials in Authorization header")
        if repo is None or (repo.private and self.token != GOOD_TOKEN):
            raise _Refusal(404 if self.token else 401, "RepoNotFound", "Repository not found")
        return repo

    def _commit(self, repo: Repo, revision: str) -> str:
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            raise _Refusal(404, "RevisionNotFound", "Invalid rev id")
        return commit

    # --- reading -------------------------------------------------------------------------------------------------

    def info(self, name: str, revision: str | None = None) -> None:
        repo = self._repo(name)
        commit = self._commit(repo, revision or "main")
        siblings = []
        for path, content in repo.commits[commit].items():
            file: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_blob(content)}
            if path.endswith(LARGE):
                sha256 = hashlib.sha256(content).hexdigest()
                file["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
            siblings.append(file)
        self._json({"id": name, "modelId": name, "sha": commit, "private": repo.private, "siblings": siblings})

    def resolve(self, name: str, revision: str, path: str) -> None:
        repo = self._repo(name)
        commit = self._commit(repo, revision)
        if repo.gated and self.token != GOOD_TOKEN:
            raise _Refusal(401, "GatedRepo", "Access to this model is restricted")
        content = repo.commits[commit].get(path)
        if content is None:
            raise _Refusal(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit}
        if path.endswith(LARGE):
            sha256 = hashlib.sha256(content).hexdigest()
            headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
            # Large files come from another host, where the token must not go.
            port = self.server.server_address[1]
            headers["Location"] = f"http://localhost:{port}/cdn/{name}/{commit}/{path}"
            return self._send(302, b"", headers)
        self._content(path, content, {**headers, "ETag": f'"{git_blob(content)}"'})

    def cdn(self, name: str, commit: str, path: str) -> None:
        self._content(path, self.hub.repos[name].commits[commit][path], {})

    def _content(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        fault = self.hub.faults.get(path)
        if fault == "garbled":
            content = bytes(byte ^ 1 for byte in content)
        start = int((self.headers.get("Range") or "bytes=0-")[len("bytes=") :].split("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if fault == "slow" and self.command == "GET":
            return self._send_slowly(206 if start else 200, body, headers)
        if start and fault == "refused once":
            del self.hub.faults[path]
            raise _Refusal(503)
        if fault is None or not fault.startswith("cut") or self.command == "HEAD":
            return self._send(206 if start else 200, body, headers)
        if fault != "cut":
            if fault == "cut once":
                del self.hub.faults[path]
            else:
                self.hub.faults[path] = "refused once"
            # The line goes dead in the middle.
            headers["Content-Length"] = str(len(body))
            self.close_connection = True
        self._send(200, body[: len(body) // 2], headers)

    # --- writing -------------------------------------------------------------------------------------------------

    def create(self) -> None:
        if self.token != GOOD_TOKEN:
            raise _Refusal(401, message="Invalid username or password.")
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repos:
            return self._send(409, json.dumps({"error": "exists", "url": f"{self.hub.url}/{name}"}).encode())
        private = asked.get("private", asked.get("visibility") == "private")
        self.hub.add(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, private=bool(private))
        self._json({"url": f"{self.hub.url}/{name}"})

    def branch(self, name: str, branch: str) -> None:
        repo = self._repo(name)
        if branch in repo.refs:
            raise _Refusal(409)
        repo.refs[branch] = repo.refs["main"]
        self._json({})

    def preupload(self, name: str, revision: str) -> None:
        self._commit(self._repo(name), revision)
        paths = [file["path"] for file in json.loads(self.body)["files"]]
        modes = [{"path": p, "uploadMode": "lfs" if p.endswith(LARGE) else "regular"} for p in paths]
        self._json({"files": [{**mode, "shouldIgnore": False} for mode in modes]})

    def batch(self, name: str) -> None:
        self._repo(name)
        objects = json.loads(self.body)["objects"]
        href = f"{self.hub.url}/upload/"
        self._json({"objects": [{**o, "actions": {"upload": {"href": href + o["oid"]}}} for o in objects]})

    def upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _Refusal(422)
        self.hub.uploads[oid] = self.body
        self._send(200, b"")

    def commit(self, name: str, revision: str) -> None:
        files = {}
        for line in self.body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "lfsFile":
                files[entry["value"]["path"]] = self.hub.uploads[entry["value"]["oid"]]
        oid = self._repo(name).commit(files, revision)
        self._json({"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid})

    def validate(self) -> None:
        self._json({"errors": [], "warnings": []})


_NAME = "([^/]+/[^/]+)"
_ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET", f"/api/models/{_NAME}", _Handler.info),
    ("GET", f"/api/models/{_NAME}/revision/(.+)", _Handler.info),
    ("HEAD GET", f"/{_NAME}/resolve/([^/]+)/(.+)", _Handler.resolve),
    ("HEAD GET", f"/cdn/{_NAME}/([^/]+)/(.+)", _Handler.cdn),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate),
    ("POST", f"/api/models/{_NAME}/branch/(.+)", _Handler.branch),
    ("POST", f"/api/models/{_NAME}/preupload/(.+)", _Handler.preupload),
    ("POST", f"/api/models/{_NAME}/commit/(.+)", _Handler.commit),
    ("POST", rf"/{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", "/upload/(.+)", _Handler.upload),
]


def git_blob(content: bytes) -> str:
    """Return git's name for a file."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up is no news, and what is printed here may land in the output of a later test.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve an empty Hub on a free port."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = _Server(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
