"""The explorer in a headless Chromium: ``make docs-browser``."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from docs.explorer import page
from tests import explorer_numbers

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SHOTS = Path(__file__).parents[2] / "build" / "docs-browser"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    file = folder / "explorer.html"
    file.write_text(page(), encoding="utf-8")
    driver.get(file.as_uri())
    yield driver
    driver.quit()


PANELS = ("gain", "speed", "path", "regime", "bifurcation")


def shown(browser: Any, panel: str) -> Any:
    """Return a panel's curves, its lines and what is said below it."""
    script = """
    const panel = document.getElementById(arguments[0]);
    const says = document.getElementById(`${arguments[0]}-says`).textContent;
    return [panel.data, panel.layout.shapes ?? [], says];
    """
    return browser.execute_script(script, panel)


def settled(browser: Any) -> None:
    """Wait until what a control has asked for is drawn."""
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
    )


def test_it_loads_without_a_word_and_without_a_fetch(browser: Any) -> None:
    assert browser.get_log("browser") == []
    fetched = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    addresses = browser.execute_script(fetched)
    assert [address for address in addresses if not address.startswith(("data:", "blob:"))] == []
    for panel in PANELS:
        assert all(shown(browser, panel)[::2]), panel


@pytest.mark.parametrize(
    ("control", "panels"),
    [
        ("law", {"gain", "speed", "path", "bifurcation"}),
        ("limit", set(PANELS)),
        ("lr", set(PANELS)),
        ("mode", {"gain", "speed", "path", "regime"}),
    ],
)
def test_a_slider_moves_what_depends_on_it(browser: Any, control: str, panels: set[str]) -> None:
    before = {panel: shown(browser, panel) for panel in PANELS}
    slider = browser.find_element(By.ID, control)
    said = slider.get_attribute("aria-valuetext")
    slider.send_keys(Keys.ARROW_RIGHT)
    settled(browser)
    assert slider.get_attribute("aria-valuetext") != said
    assert {panel for panel in PANELS if shown(browser, panel) != before[panel]} == panels
    slider.send_keys(Keys.ARROW_LEFT)
    settled(browser)
    assert slider.get_attribute("aria-valuetext") == said
    assert {panel: shown(browser, panel) for panel in PANELS} == before


@pytest.mark.parametrize("check", explorer_numbers.CHECKS)
def test_its_numbers_are_those_of_the_reference(browser: Any, check: Any) -> None:
    def run(calls: Sequence[explorer_numbers.Call]) -> Any:
        script = "return arguments[0].map(([name, ...given]) => formulas[name](...given))"
        return browser.execute_script(script, calls)

    check(run)


@pytest.mark.parametrize("width", [1400, 390])
def test_it_fits_into_the_width(browser: Any, width: int) -> None:
    metrics = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    settled(browser)
    time.sleep(1)  # plotly fits its figures to a new width after a pause
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(os.fspath(SHOTS / f"explorer-{width}.png"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
