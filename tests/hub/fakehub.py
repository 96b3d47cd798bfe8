# SPDX-License-Identifier: MIT
"""A hub on this machine, as huggingface_hub sees it: repositories, files of LFS on another host, and faults on demand.

    hub = Hub(); commit = hub.add("owner/name", {"config.json": b"{}"}); os.environ["HF_ENDPOINT"] = hub.url

Two servers: the hub on 127.0.0.1, and what stands for its content network on localhost, another host to a client."""
import hashlib
import http.server
import json
import pathlib
import threading
import time
import urllib.parse

LFS = 10_000  # bytes from which a file is on the content network


class Repo:
    def __init__(self, token, gated):
        self.token, self.gated = token, gated
        self.commits = {}  # commit: {name: bytes}
        self.main = None


class Fault:
    """cut: bytes after which the connection is closed. stall: it stays open then, silent for so many seconds.
    slow: seconds between chunks of 16 kB. more: bytes after the content's end."""

    def __init__(self, what, file, status=None, headers=None, body=b"", cut=None, damage=False, times=None, stall=0, slow=0,
                 more=b""):
        self.what, self.file, self.status, self.headers, self.body = what, file, status, headers or {}, body
        self.cut, self.damage, self.times, self.stall, self.slow, self.more = cut, damage, times, stall, slow, more


class Hub:
    def __init__(self):
        self.repos, self.faults, self.ranges = {}, [], True
        self.sending = 0   # slow files under way
        self.renamed = {}  # old name: new name
        self.after_listing = None  # called when a listing has been sent: what happens while a client downloads
        self.lock = threading.Lock()
        self.forget()
        self.leaks = []
        self.server, self.network = self._serve("127.0.0.1"), self._serve("localhost")
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.network_url = f"http://localhost:{self.network.server_port}"

    def _serve(self, host):
        server = http.server.ThreadingHTTPServer((host, 0), Handler)
        server.daemon_threads = True
        server.hub = self
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def close(self):
        for server in (self.server, self.network):
            server.shutdown()
            server.server_close()

    def add(self, name, files, token=None, gated=False):
        """A new commit of a repository; files are bytes or paths."""
        content = {n: data.read_bytes() if isinstance(data, pathlib.Path) else data for n, data in files.items()}
        digest = hashlib.sha1(json.dumps([(n, etag(data)) for n, data in sorted(content.items())]).encode()).hexdigest()
        repo = self.repos.setdefault(name, Repo(token, gated))
        repo.token, repo.gated, repo.main = token, gated, digest
        repo.commits[digest] = content
        return digest

    def fail(self, what, file, **options):
        """what: "api", "HEAD" or "GET" (of a file's content)."""
        self.faults.append(Fault(what, file, **options))

    def heal(self):
        self.faults, self.ranges, self.after_listing = [], True, None

    def ignore_ranges(self):
        self.ranges = False

    def forget(self):
        self.requests, self.sent, self.asked_ranges = [], [], []

    def asked(self, method):
        return [path for m, path in self.requests if m == method]

    def downloaded(self):
        """Files sent to their end. A client may be quicker than what notes it here."""
        time.sleep(0.02)
        while self.sending:
            time.sleep(0.01)
        return list(self.sent)

    def token_leaks(self):
        """Requests to the content network that had a token."""
        return list(self.leaks)

    def fault(self, what, file):
        with self.lock:
            for fault in self.faults:
                if fault.what == what and fault.file == file and fault.times != 0:
                    fault.times = fault.times and fault.times - 1
                    return fault
        return None


def etag(data):
    """sha256 of what is in LFS, git's own for the others."""
    if len(data) >= LFS:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def entry(name, data):
    """A file in a repository's tree."""
    lfs = {"oid": etag(data), "size": len(data), "pointerSize": 130}
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return {"type": "file", "oid": oid, "size": len(data), "path": name, **({"lfs": lfs} if len(data) >= LFS else {})}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    @property
    def hub(self):
        return self.server.hub

    def handle(self):
        try:
            super().handle()
        except ConnectionError:  # the client has gone
            pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail_with(self, fault):
        self.answer(fault.status, fault.body, **{k.replace("-", "_"): v for k, v in fault.headers.items()})

    def do_HEAD(self):
        self.serve()

    def do_GET(self):
        self.serve()

    def serve(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        parts = path.strip("/").split("/")
        if self.server is self.hub.network:
            if self.headers.get("Authorization"):
                self.hub.leaks.append(path)
            return self.content("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        for old, new in self.hub.renamed.items():
            if f"/{old}/" in path:
                return self.answer(307, Location=self.path.replace(f"/{old}/", f"/{new}/"))
        if parts[:2] == ["api", "models"]:
            return self.api("/".join(parts[2:4]), *(parts[4:6] if len(parts) > 5 else ("revision", "main")))
        if len(parts) > 4 and parts[2] == "resolve":
            return self.file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        return self.answer(404)

    def repo(self, name):
        """The repository when this client may see it; else it has been answered."""
        repo = self.hub.repos.get(name)
        if not repo or (repo.token and self.headers.get("Authorization") != f"Bearer {repo.token}"):
            self.answer(401 if repo or not self.headers.get("Authorization") else 404, X_Error_Code="RepoNotFound",
                        X_Error_Message="Repository not found")
            return None
        return repo

    def commit(self, repo, revision):
        commit = repo.main if revision == "main" else revision
        if commit in repo.commits:
            return commit
        self.answer(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")
        return None

    def api(self, name, what, revision):
        fault = self.hub.fault("api", "")
        if fault:
            return self.fail_with(fault)
        repo = self.repo(name)
        commit = repo and self.commit(repo, revision)
        if not commit:
            return None
        if what == "tree":
            return self.answer(200, json.dumps([entry(n, d) for n, d in sorted(repo.commits[commit].items())]).encode(),
                               Content_Type="application/json")
        files = [{"rfilename": n, "size": len(d)} for n, d in sorted(repo.commits[commit].items())]
        body = {"_id": "0", "id": name, "modelId": name, "sha": commit, "private": bool(repo.token), "gated": repo.gated and
                "manual", "siblings": files, "tags": [], "downloads": 0, "likes": 0}
        self.answer(200, json.dumps(body).encode(), Content_Type="application/json")
        if self.hub.after_listing:
            self.hub.after_listing()
        return None

    def file(self, name, revision, file):
        repo = self.repo(name)
        commit = repo and self.commit(repo, revision)
        if not commit:
            return None
        if repo.gated:
            return self.answer(403, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        fault = self.command == "HEAD" and self.hub.fault("HEAD", file)
        if fault:
            return self.fail_with(fault)
        data = repo.commits[commit].get(file)
        if data is None:
            return self.answer(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found", X_Repo_Commit=commit)
        if len(data) < LFS:
            return self.content(name, commit, file)
        return self.answer(302, X_Repo_Commit=commit, X_Linked_Etag=f'"{etag(data)}"', X_Linked_Size=str(len(data)),
                           Location=f"{self.hub.network_url}/{name}/resolve/{commit}/{urllib.parse.quote(file)}")

    def content(self, name, commit, file):
        data = self.hub.repos[name].commits[commit][file]
        headers = {"ETag": f'"{etag(data)}"', "X_Repo_Commit": commit, "Accept_Ranges": "bytes"}
        if self.command == "HEAD":
            return self.answer(200, Content_Length=str(len(data)), **headers)
        fault = self.hub.fault("GET", file)
        if fault and fault.status:
            return self.fail_with(fault)
        begin, status = 0, 200
        wanted = self.headers.get("Range", "")
        self.hub.asked_ranges.append((file, wanted))
        if self.hub.ranges and wanted.startswith("bytes=") and wanted != "bytes=0-":
            begin, status = int(wanted[6:].split("-")[0]), 206
            if begin >= len(data):
                return self.answer(416, Content_Range=f"bytes */{len(data)}")
            headers["Content_Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        body = data[begin:]
        if fault and fault.damage:
            body = bytes([body[0] ^ 1]) + body[1:]
        if fault and fault.more:
            body += fault.more
        if fault and fault.cut is not None:
            self.answer(status, body[:fault.cut], Content_Length=str(len(body)), **headers)
            self.wfile.flush()
            time.sleep(fault.stall)
            self.close_connection = True
            return None
        if fault and fault.slow:
            return self.trickle(status, body, fault.slow, file, headers)
        self.answer(status, body, Content_Length=str(len(body)), **headers)
        self.hub.sent.append(file)
        return None

    def trickle(self, status, body, pause, file, headers):
        self.answer(status, b"", Content_Length=str(len(body)), **headers)
        self.hub.sending += 1
        try:
            for at in range(0, len(body), 16384):
                self.wfile.write(body[at:at + 16384])
                self.wfile.flush()
                time.sleep(pause)
        except OSError:  # the client has gone
            self.close_connection = True
        else:
            self.hub.sent.append(file)
        finally:
            self.hub.sending -= 1
