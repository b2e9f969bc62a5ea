"""Headless Chromium, driven through its own debugging protocol; says what a page asks for."""

import itertools
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from urllib.request import Request, urlopen

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars "
    "--remote-debugging-port=0"
).split()
# A page that needs another host fails here as it would without a network.
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"


def find():
    """Path of an installed browser, or None; the environment's CHROMIUM goes first."""
    named = [os.environ.get("CHROMIUM"), *NAMES]
    return next((path for path in map(shutil.which, filter(None, named)) if path), None)


@contextmanager
def opened(folder):
    """A page in a fresh browser whose profile lies in a folder."""
    command = [find(), *FLAGS, OFFLINE, f"--user-data-dir={folder}", "about:blank"]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        port = _wait(lambda: _port(folder / "DevToolsActivePort"), "the browser")
        request = Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
        with urlopen(request, timeout=30) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        with connect(address, max_size=None, proxy=None) as socket:
            page = Page(socket)
            yield page
    finally:
        process.terminate()
        process.wait(20)


class Page:
    """One tab.

    Attributes
    ----------
    requests : list of str
        Addresses that the page has asked for, also those that were not answered, but not those
        that its own content security policy kept from being asked.
    errors : list of str
        Exceptions of its scripts.
    """

    def __init__(self, socket):
        self.socket, self.number = socket, itertools.count(1)
        self.asked, self.errors = {}, []
        for domain in ("Page", "Network", "Runtime"):
            self.command(f"{domain}.enable")

    def command(self, method, **params):
        """Send a command; its result."""
        number = next(self.number)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            given = message.get("params", {})
            if message.get("method") == "Network.requestWillBeSent":
                # A redirection keeps its number.
                self.asked.setdefault(given["requestId"], []).append(given["request"]["url"])
            elif message.get("method") == "Network.webSocketCreated":
                self.asked[given["requestId"]] = [given["url"]]
            elif message.get("method") == "Network.loadingFailed":
                if given.get("blockedReason") == "csp":
                    self.asked.pop(given["requestId"])
            elif message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(given))
            elif message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    @property
    def requests(self):
        return [url for urls in self.asked.values() for url in urls]

    def open(self, address, width=1100, height=900):
        """Go to an address, in a window of a size."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.command("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression):
        """Value of a JavaScript expression."""
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression, seconds=60):
        """Wait until an expression is true."""
        return _wait(lambda: self.evaluate(expression), expression, seconds)


def _port(file):
    return file.read_text().splitlines()[0] if file.exists() and file.read_text() else None


def _wait(ready, what, seconds=60):
    end = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return value
