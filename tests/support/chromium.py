"""Drives a headless Chromium by its DevTools protocol, for tests of what a page looks like and how it is used."""

import asyncio
import base64
import itertools
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_SECONDS = 60.0
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}


@dataclass(slots=True)
class Tab:
    """One page of the browser."""

    socket: ClientWebSocketResponse
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_SECONDS):
            while (answer := await self.socket.receive_json()).get("id") != number:
                pass  # an event
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def evaluate(self, expression: str) -> Any:
        """Return what a JavaScript expression is."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        async with asyncio.timeout(_SECONDS):
            while not await self.evaluate(expression):  # noqa: ASYNC110  another process says when
                await asyncio.sleep(0.05)

    async def press(self, key: str) -> None:
        """Press a key and let it go."""
        code, text = _KEYS[key]
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    async def tab_to(self, selector: str) -> None:
        """Press Tab until an element that the selector finds has the focus."""
        for _ in range(50):
            await self.press("Tab")
            if await self.evaluate(f"document.activeElement.matches({selector!r})"):
                return
        raise AssertionError(f"no Tab leads to {selector}")

    async def picture(self, file: Path) -> None:
        """Save the whole page as a PNG file."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(shot["data"]))


@asynccontextmanager
async def browsing(folder: Path, *, width: int, dark: bool = False) -> AsyncIterator[Tab]:
    """Open a tab of a width in CSS pixels."""
    assert PROGRAM is not None
    switches = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *switches, f"--user-data-dir={folder}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with ClientSession() as session:
            port = await asyncio.to_thread(_port, folder / "DevToolsActivePort")
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                (target,) = [each for each in await answer.json(content_type=None) if each["type"] == "page"]
            socket = await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
            tab = Tab(socket)
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            await tab.call("Emulation.setDeviceMetricsOverride", **size)
            scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
            await tab.call("Emulation.setEmulatedMedia", features=scheme)
            yield tab
    finally:
        process.terminate()
        await process.wait()


def _port(told: Path) -> str:
    """Return where Chromium listens, once it has written that."""
    deadline = time.monotonic() + _SECONDS
    while not (lines := told.read_text().splitlines() if told.exists() else []):
        assert time.monotonic() < deadline, "Chromium does not start"
        time.sleep(0.05)
    return lines[0]
