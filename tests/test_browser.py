"""The HTML report in a real browser: no errors, no requests, and every control does its work."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_store import make_store

from rmtools.report.html import write_report
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rmtools.store import Store

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}


def find_browser() -> str | None:
    """The machine's own Chromium; $CHROMIUM decides when it is set."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chromium or Chrome on this machine; set CHROMIUM to its executable")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("browser"), n=64)


@pytest.fixture(scope="module")
def report(store: Store) -> Path:
    return write_report(store, store.path.parent / "report.html")


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The report on a desktop screen; whatever went wrong or out is found when the test ends."""
    yield from opened(browser, report, viewport=DESKTOP)


def opened(browser: Any, report: Path, **context: Any) -> Iterator[Any]:
    tab = browser.new_context(**context).new_page()
    noise: list[str] = []
    tab.on("console", lambda message: noise.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: noise.append(f"error: {error}"))
    tab.on(
        "request",
        lambda request: (
            None
            if request.url.startswith("data:") or request.url == report.as_uri()
            else noise.append(f"request: {request.url}")
        ),
    )
    tab.goto(report.as_uri())
    # The maps are there when every canvas shows more than one colour.
    tab.wait_for_function(
        """() => [...document.querySelectorAll("canvas")].every((canvas) => {
            const c = canvas.getContext("2d");
            const data = c.getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(new Uint32Array(data.buffer)).size > 5;
        })"""
    )
    yield tab
    tab.context.close()
    assert noise == []


def pixels(page: Any, selector: str = "#screen") -> str:
    return page.locator(selector).first.evaluate("canvas => canvas.toDataURL()")


def frame(page: Any) -> int:
    return int(page.locator("#frame").input_value())


def wait_until_frame(page: Any, wanted: int) -> None:
    # A function, not an expression: the page's policy forbids eval, even to Playwright.
    page.wait_for_function("wanted => document.getElementById('frame').value >= wanted", arg=wanted)


def hover(page: Any, canvas: Any, row: int, col: int, n: int) -> None:
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(
        box["x"] + (col + 0.5) / n * box["width"], box["y"] + (row + 0.5) / n * box["height"]
    )


def test_play_advances_and_pause_stops(page: Any) -> None:
    button = page.locator("#play")
    assert frame(page) == 0
    button.click()
    assert button.inner_text() == "Pause"
    wait_until_frame(page, 3)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    stopped, shown = frame(page), pixels(page)
    page.wait_for_timeout(500)
    assert frame(page) == stopped
    assert pixels(page) == shown
    assert f"frame {stopped} of 14 · {stopped / 10:.1f} s" in page.locator("#clock").inner_text()


def test_the_slider_sets_the_frame_and_the_picture(page: Any) -> None:
    first = pixels(page)
    page.locator("#frame").fill("9")
    assert "frame 9 of 14 · 0.9 s" in page.locator("#clock").inner_text()
    assert pixels(page) != first
    page.locator("#frame").fill("0")
    assert pixels(page) == first


def test_the_keyboard_drives_the_player(page: Any) -> None:
    screen = page.locator("#screen")
    screen.focus()
    for key, wanted in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", 14),
        ("ArrowRight", 0),
        ("ArrowLeft", 14),
        ("Home", 0),
    ):
        screen.press(key)
        assert frame(page) == wanted, key
    screen.press(" ")
    wait_until_frame(page, 2)
    screen.press(" ")
    stopped = frame(page)
    page.wait_for_timeout(400)
    assert frame(page) == stopped
    # A focused button uses the space bar itself: one press, one change.
    page.locator("#play").press(" ")
    assert page.locator("#play").inner_text() == "Pause"


def test_the_selector_changes_the_sequence(page: Any, store: Store) -> None:
    pictures = {pixels(page)}
    options = page.locator("#sequence option").all_inner_texts()
    assert len(options) == 4
    for index in range(1, len(options)):
        before = pixels(page)
        page.locator("#sequence").select_option(str(index))
        page.wait_for_function(
            "before => document.getElementById('screen').toDataURL() !== before", arg=before
        )
        pictures.add(pixels(page))
    assert len(pictures) == len(options)
    assert {text.split(" · ")[0] for text in options} == set(store.scene_names)


def test_difference_and_vehicles_can_be_switched(page: Any) -> None:
    page.locator("#frame").fill("12")
    plain = pixels(page)
    page.locator("#vehicles").uncheck()
    bare = pixels(page)
    assert bare != plain
    page.locator("#difference").check()
    assert pixels(page) not in (plain, bare)
    assert page.locator("#change-legend").is_visible()
    assert page.locator("#loss-legend").is_hidden()
    page.locator("#difference").uncheck()
    assert pixels(page) == bare


@pytest.mark.parametrize("choice", [0, 1])
def test_hovering_reads_the_true_loss(page: Any, store: Store, choice: int) -> None:
    n = store.grid.n
    card = page.locator(".card").nth(2)
    before = pixels(card, "canvas.map")
    if choice:
        card.locator("select").select_option(str(choice))
        page.wait_for_function(
            "before => document.querySelectorAll('canvas.map')[2].toDataURL() !== before",
            arg=before,
        )
    losses, canvas = store.pathloss(2, 0, choice)[0], card.locator("canvas")
    random = np.random.default_rng(4)
    cells = [(0, 0), (n - 1, n - 1), *random.integers(0, n, (10, 2)).tolist()]
    for row, col in cells:
        hover(page, canvas, row, col, n)
        text = card.locator("output").inner_text()
        x, y = store.grid.centre(row, col)
        assert text.startswith(f"row {row}, col {col} · x {x:.1f} m, y {y:.1f} m · "), text
        if store.buildings(2)[row, col]:
            assert text.endswith("building")
        else:
            shown = float(re.search(r"([\d.]+) dB$", text)[1])
            # Half a level from the middle of the step, and the rounding to 0.1 dB.
            assert abs(shown - losses[row, col]) <= MOTION_SCALE.step_db / 2 + 0.051


def test_the_player_reads_loss_and_change(page: Any, store: Store) -> None:
    n, screen = store.grid.n, page.locator("#screen")
    losses = store.pathloss(0, 0, 0)
    changed = np.argwhere((np.abs(losses[10] - losses[0]) > 2) & ~np.isnan(losses[10]))
    row, col = changed[0].tolist()
    page.locator("#difference").check()
    page.locator("#frame").fill("10")
    hover(page, screen, row, col, n)
    text = page.locator("#screen-probe").inner_text()
    change = float(re.search(r"\(([+-][\d.]+) dB since frame 0\)", text)[1])
    true = losses[10, row, col] - losses[0, row, col]
    assert abs(change - true) <= MOTION_SCALE.step_db + 0.051


def test_the_keyboard_moves_the_probe_of_a_map(page: Any) -> None:
    card = page.locator(".card").first
    canvas = card.locator("canvas")
    canvas.focus()
    places = []
    for key in ("ArrowUp", "ArrowUp", "Shift+ArrowRight", "ArrowDown"):
        canvas.press(key)
        places.append(re.findall(r"row (\d+), col (\d+)", card.locator("output").inner_text())[0])
    assert places == [("31", "32"), ("30", "32"), ("30", "42"), ("31", "42")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: Any, report: Path, scheme: str
) -> None:
    tabs = opened(
        browser, report, viewport=PHONE, is_mobile=True, has_touch=True, color_scheme=scheme
    )
    tab = next(tabs)
    for index in range(tab.locator("details").count()):
        part = tab.locator("details").nth(index)
        if part.get_attribute("open") is None:
            part.locator("summary").tap()
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    canvas = tab.locator("#screen")
    assert canvas.bounding_box()["width"] > 0.8 * PHONE["width"]
    canvas.tap()
    assert "row " in tab.locator("#screen-probe").inner_text()
    next(tabs, None)


def test_both_themes_have_enough_contrast(browser: Any, report: Path) -> None:
    paper = {}
    for scheme in ("light", "dark"):
        tabs = opened(browser, report, viewport=DESKTOP, color_scheme=scheme)
        tab = next(tabs)
        paper[scheme] = luminance(tab, "body", "backgroundColor")
        for selector in ("h1", "p.lead", ".kind", "nav a", "figcaption", "thead th", "footer p"):
            ink = luminance(tab, selector, "color")
            light, dark = max(ink, paper[scheme]), min(ink, paper[scheme])
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (scheme, selector)  # WCAG 2.2, 1.4.3
        next(tabs, None)
    assert paper["dark"] < 0.05
    assert paper["light"] > 0.8


def luminance(tab: Any, selector: str, name: str) -> float:
    """Relative luminance of a computed colour (WCAG 2.2)."""
    colour = tab.locator(selector).first.evaluate(f"node => getComputedStyle(node).{name}")
    unit = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_every_control_has_a_name(page: Any) -> None:
    snapshot = page.locator("body").aria_snapshot()
    for line in snapshot.splitlines():
        found = re.match(r"\s*- (button|combobox|slider|checkbox|img|region)\b(.*)", line)
        assert not found or '"' in found[2], line
    assert 'slider "Frame"' in snapshot
    assert 'checkbox "difference to first frame"' in snapshot
