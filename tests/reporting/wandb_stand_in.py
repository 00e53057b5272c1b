"""A small stand-in for W&B's API, on loopback: it records what is asked of it and stores nothing.

It answers the few GraphQL questions that `wandb sync` and `wandb_workspaces` ask, takes the file
stream (history, summary) and takes uploaded files. It is no proof that W&B itself takes all this;
it shows what is sent, how often, and to which group.
"""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse


class StandIn:
    """Runs until `close`. `queries`, `streams` and `uploads` are what came in.

    With ``hangs`` it starts runs, but never answers where their history is sent.
    """

    def __init__(self, hangs=False):
        self.queries = []
        self.streams = []
        self.uploads = {}
        self.closed = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def body(self):
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content

            def answer(self, value):
                content = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self):
                path = urlparse(self.path).path
                if path == "/graphql":
                    asked = json.loads(self.body())
                    stand_in.queries.append(asked)
                    self.answer({"data": stand_in.reply(asked)})
                elif path.endswith("/file_stream"):
                    if hangs:
                        stand_in.closed.wait()
                        return
                    stand_in.streams.append((path, json.loads(self.body() or b"{}")))
                    self.answer({"exitcode": None, "limits": {}})
                else:
                    self.body()
                    self.answer({})

            def do_PUT(self):
                name = parse_qs(urlparse(self.path).query).get("file", ["?"])[0]
                stand_in.uploads.setdefault(name, []).append(self.body())
                self.answer({})

            def do_GET(self):
                self.answer({})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Clients hang up when they are done; that is nothing to print.
        self.server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

    def asked(self, name):
        """The variables of every request whose GraphQL text mentions ``name``."""
        return [query.get("variables") or {} for query in self.queries if name in query["query"]]

    def history(self):
        """Every logged step that came through the file streams, with the run's path."""
        return [
            (path, json.loads(line))
            for path, content in self.streams
            for line in content.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        ]

    def reply(self, asked):
        text, variables = asked["query"], asked.get("variables") or {}
        project = {
            "id": "p1",
            "internalId": "1",
            "name": "project",
            "entityName": "somebody",
            "entity": {"id": "e1", "name": "somebody"},
        }
        if "upsertView" in text:
            view = {
                "id": "view1",
                "type": "runs",
                "name": variables["name"],
                "displayName": variables["displayName"],
                "description": variables["description"],
                "project": project,
                "spec": variables["spec"],
                "updatedAt": None,
            }
            return {"upsertView": {"view": view, "inserted": True}}
        if "upsertBucket" in text:
            bucket = {
                "id": "b1",
                "name": variables.get("name"),
                "displayName": variables.get("displayName"),
                "description": None,
                "config": None,
                "sweepName": None,
                "historyLineCount": 0,
                "project": {**project, "name": variables.get("project") or "project"},
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "createRunFiles" in text:
            files = [
                {"name": name, "uploadUrl": f"{self.url}/upload?file={name}"}
                for name in variables["files"]
            ]
            return {"createRunFiles": {"runID": "b1", "uploadHeaders": [], "files": files}}
        if "ProjectInternalId" in text:
            return {"project": project}
        if "projects(" in text or "models(" in text:
            node = {**project, "createdAt": "2026-01-01", "isBenchmark": False, "user": None}
            found = {
                "edges": [{"node": node, "cursor": "c"}],
                "pageInfo": {"hasNextPage": False, "endCursor": None},
            }
            return {"models": found, "entity": {"projects": found}}
        viewer = {
            "id": "u1",
            "entity": "somebody",
            "username": "somebody",
            "email": "",
            "flags": "{}",
            "deletedAt": None,
            "admin": False,
            "name": "somebody",
            "teams": {"edges": []},
            "apiKeys": {"edges": []},
        }
        return {
            "viewer": viewer,
            "serverInfo": {
                "features": [],
                "cliVersionInfo": {"max_cli_version": "99.0.0"},
                "latestLocalVersionInfo": None,
            },
            "model": None,
            "project": project,
        }
