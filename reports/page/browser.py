"""Chromium over the DevTools protocol, for the page's tests, measurements and screenshots.

The protocol runs over two pipes (`--remote-debugging-pipe`), so that neither a driver program, nor a port, nor another
package is needed.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.errors import HarnessError

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--remote-debugging-pipe",
)
_EXEC = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_KEYS = {
    "Enter": ("\r", 13),
    "Escape": (None, 27),
    "ArrowDown": (None, 40),
    "ArrowUp": (None, 38),
    "End": (None, 35),
    "Home": (None, 36),
}


class BrowserError(HarnessError):
    """The browser did not start, answered with an error, or took too long."""


def find_browser() -> str | None:
    """The browser's program: the one that `UMMBENCH_CHROMIUM` names, else the first of `NAMES` that is installed."""
    given = os.environ.get("UMMBENCH_CHROMIUM")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one tab.

    Args:
        program: see `find_browser`.
        width, height: of the window in CSS pixels.

    Raises (every method):
        BrowserError: as said there.
    """

    def __init__(self, program: str, *, width: int = 1280, height: int = 860) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="ummbench-browser-", ignore_cleanup_errors=True)
        to_read, self._to_browser = os.pipe()
        self._from_browser, to_write = os.pipe()
        self._process = self._start(program, to_read, to_write, width, height)
        os.close(to_read)
        os.close(to_write)
        self._buffer = b""
        self._last = 0
        self._patience_s = 60.0
        self._session = ""
        self.messages: list[str] = []
        """What the page wrote to the console, and exceptions."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call("Performance.enable", timeDomain="threadTicks")
        self.resize(width, height)

    def _start(self, program: str, to_read: int, to_write: int, width: int, height: int) -> subprocess.Popen[bytes]:
        # The browser reads the protocol from descriptor 3 and answers on 4.
        high_in, high_out = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_read, to_write))
        command = [sys.executable, "-c", _EXEC, str(high_in), str(high_out), program, *_FLAGS]
        command += [f"--window-size={width},{height}"]
        command += [f"--user-data-dir={self._profile.name}", "about:blank"]
        try:
            return subprocess.Popen(
                command,
                pass_fds=(high_in, high_out),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(high_in)
            os.close(high_out)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self._patience_s
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                return dict(answer["result"])
            self._note(answer)

    def _next(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from_browser], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise BrowserError(f"The browser did not answer {what} in time.")
            piece = os.read(self._from_browser, 1 << 20)
            if not piece:
                raise BrowserError(f"The browser ended (exit code {self._process.poll()}) during {what}.")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.messages.append(f"{details['text']} {details.get('exception', {}).get('description', '')}")
        elif event.get("method") == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])

    def resize(self, width: int, height: int, *, scale: float = 1.0) -> None:
        """Sets the window's size in CSS pixels and the device's pixels per CSS pixel."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def colour_scheme(self, name: str) -> None:
        """`light` or `dark`."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, page: Path, fragment: str = "", *, timeout_s: float = 30.0) -> None:
        """Opens a file of the page and waits until its list can be used."""
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=page.resolve().as_uri() + fragment)
        self.wait("document.documentElement?.dataset.ready === '1'", timeout_s=timeout_s)

    def eval(self, expression: str) -> Any:
        """The JSON value of a JavaScript expression; promises are awaited."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise BrowserError(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return found["result"].get("value")

    def wait(self, expression: str, *, timeout_s: float = 10.0) -> Any:
        """Waits until the expression is true; returns its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.eval(expression)):
            if time.monotonic() > deadline:
                raise BrowserError(f"{expression} did not become true in {timeout_s:g} s. {self.messages[-5:]}")
            time.sleep(0.01)
        return value

    def key(self, name: str) -> None:
        """Presses and releases a key: a character or a name such as `Enter`."""
        text, code = _KEYS.get(name, (name, ord(name[0].upper())))
        event = {"key": name, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **event)

    def write(self, text: str) -> None:
        """Types text where the focus is."""
        self._call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Clicks into the middle of the first element that matches, with the mouse."""
        place = self.eval(
            f"(() => {{const n = document.querySelector({json.dumps(selector)}); if (!n) return null;"
            "n.scrollIntoView({block: 'nearest'});"
            "const r = n.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2];})()"
        )
        if place is None:
            raise BrowserError(f"Nothing matches {selector!r}.")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def choose(self, selector: str, value: str) -> None:
        """Sets a select or a search field as a user's choice does."""
        self.eval(
            f"(() => {{const n = document.querySelector({json.dumps(selector)}); n.value = {json.dumps(value)};"
            "n.dispatchEvent(new Event('input', {bubbles: true}));})()"
        )

    def screenshot(self) -> bytes:
        """PNG bytes of the window."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def busy_ms(self) -> float:
        """Milliseconds of processor time that the page's main thread has used, whatever else the machine does."""
        found = {m["name"]: m["value"] for m in self._call("Performance.getMetrics")["metrics"]}
        return 1e3 * float(found["TaskDuration"])

    def memory_mb(self) -> float:
        """Megabytes of JavaScript objects in use, after collecting garbage."""
        self._call("HeapProfiler.collectGarbage")
        return float(self._call("Runtime.getHeapUsage")["usedSize"]) / 1e6

    def close(self) -> None:
        """Ends the browser and removes its profile."""
        if self._process.poll() is None:
            self._session = ""
            with contextlib.suppress(BrowserError, OSError):
                self._patience_s = 5.0
                self._call("Browser.close")
        for fd in (self._to_browser, self._from_browser):
            with contextlib.suppress(OSError):
                os.close(fd)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=5)
        self._profile.cleanup()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
