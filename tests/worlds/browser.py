"""A real browser for pages: Debian's Chromium, headless, driven by playwright, cut off from any network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from needs import need
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "chromium"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WIDE = (1280, 900)
NARROW = (390, 800)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start a browser for the length of a block."""
    path = shutil.which(CHROMIUM)
    need(path, f"there is no {CHROMIUM} (Debian: apt-get install chromium; `.ci/environment` does it as root)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tabs:
    """Opens pages, and keeps what they complained of and asked for.

    Attributes:
        browser: Where they are opened.
        complaints: Errors and warnings on the console, and uncaught exceptions, of all pages so far.
        requested: Every address that they asked for.
    """

    browser: Browser
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def open(self, path: Path, size: tuple[int, int] = WIDE, *, dark: bool = False, java_script: bool = True) -> Page:
        """Open a file and wait until its table is drawn."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=java_script,
            offline=True,
        )
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("request", lambda request: self.requested.append(request.url))
        page.goto(path.as_uri())
        if java_script:
            page.locator("html[data-ready]").wait_for(state="attached")
        return page

    def close(self) -> None:
        """Close all pages; nothing may have been complained of, and nothing asked for but the files themselves."""
        for context in self.browser.contexts:
            context.close()
        assert self.complaints == []
        assert all(address.startswith("file:///") for address in self.requested), self.requested
