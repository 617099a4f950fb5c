"""Opens pages from disk in a real headless Chromium, and remembers what they asked for and complained of."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, sync_playwright

from pipeline.report import figures

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESKTOP = 360, 1280
_LEFT_OUT = ("LD_LIBRARY_PATH", "LD_PRELOAD")


@dataclass
class Opened:
    """A page in the browser.

    Attributes:
      page: playwright's.
      requests: addresses that it asked for, itself apart.
      complaints: errors of scripts, and what the console says.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def serious(self) -> list[str]:
        """Serious and critical findings of axe-core: the rule and the first element."""
        found = Axe().run(self.page)["violations"]
        return [
            f"{issue['id']}: {issue['nodes'][0]['html'][:200]}"
            for issue in found
            if issue["impact"] in ("serious", "critical")
        ]

    def faults(self, *, audited: bool = True) -> dict[str, object]:
        """What a page must not have, by kind; empty where it has none.

        Args:
          audited: also by axe-core, which takes a minute for a page of 500 columns.
        """
        found = {
            "pixels too wide": max(0, self.too_wide()),
            "complaints": self.complaints,
            "requests": self.requests,
            "axe": self.serious() if audited else [],
        }
        return {kind: what for kind, what in found.items() if what}

    def too_wide(self) -> int:
        """Pixels that the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def figures(self) -> list[tuple[str, str]]:
        """(path, exact value) of every figure."""
        found = self.page.eval_on_selector_all(
            "data[data-path]", "all => all.map(one => [one.dataset.path, one.getAttribute('value')])"
        )
        return [(path, value) for path, value in found]


def wrong_figures(opened: Opened, report: Path) -> list[str]:
    """Figures of a page that are not those of report.json."""
    values = json.loads(report.read_text("utf-8"))
    found = {path: (value, figures.at(values, path)) for path, value in opened.figures()}
    return [
        f"{path}: {shown} for {exact}"
        for path, (shown, exact) in found.items()
        if shown != ("" if exact is None else str(exact))
    ]


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; tests are skipped where there is none."""
    wanted = os.environ.get("MILLRACE_CHROMIUM")
    path = shutil.which(wanted) if wanted else next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium: install one (Debian: apt-get install chromium), or set MILLRACE_CHROMIUM to its path")
    clean = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=path, args=flags, env=clean)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """A function: a file, and `width`, `scheme` (light or dark), `script` (whether it runs), to the page, opened."""
    with ExitStack() as contexts:

        def open_(file: Path, width: int = DESKTOP, scheme: Any = "light", script: bool = True) -> Opened:
            context = browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
            )
            contexts.callback(context.close)
            opened = Opened(context.new_page())

            def asked(request: Request) -> None:
                if not request.is_navigation_request() or not request.url.startswith("file:"):
                    opened.requests.append(request.url)

            opened.page.on("request", asked)
            opened.page.on("console", lambda message: opened.complaints.append(message.text))
            opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
            opened.page.goto(file.as_uri())
            return opened

        yield open_
