"""The report and `rmtools serve` in a real browser: every control does its work, nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_store import make_store
from serving import serving

from rmtools.files import write_bytes, write_json
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
    return write_report(store, store.path.parent / "report.html", split=split_of(store))


def split_of(store: Store) -> dict[str, Any]:
    names = store.scene_names
    members = {"train": names[:2], "test": names[2:]}
    return {"sets": {name: {"scenes": scenes} for name, scenes in members.items()}}


@pytest.fixture(scope="module")
def site(store: Store) -> Iterator[str]:
    write_json(store.path.parent / "split.json", split_of(store))
    with serving(store.path.parent) as server:
        yield server.url


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The report on a desktop screen; whatever went wrong or out is found when the test ends."""
    yield from opened(browser, report.as_uri(), viewport=DESKTOP)


@pytest.fixture(params=["report", "server"])
def anywhere(request: Any, browser: Any, report: Path, site: str) -> Iterator[Any]:
    """The viewer in the report, and that of the server."""
    url = report.as_uri() if request.param == "report" else f"{site}scene/0"
    yield from opened(browser, url, viewport=DESKTOP)


def opened(browser: Any, url: str, **context: Any) -> Iterator[Any]:
    tab = browser.new_context(**context).new_page()
    noise: list[str] = []
    own = url.split("/scene/", maxsplit=1)[0] if url.startswith("http") else url
    tab.on("console", lambda message: noise.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: noise.append(f"error: {error}"))
    tab.on("dialog", lambda dialog: noise.append(f"dialog: {dialog.message}"))
    tab.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("data:", own))
            else noise.append(f"request: {request.url}")
        ),
    )
    tab.goto(url)
    painted(tab)
    yield tab
    tab.context.close()
    assert noise == []


def painted(tab: Any) -> None:
    """Wait for the maps: the clock is set when they have been drawn."""
    tab.wait_for_function(
        """() => {
            const clock = document.getElementById("clock");
            return !clock || clock.textContent.includes("frame");
        }"""
    )


def pixels(page: Any, selector: str = "#screen") -> str:
    return page.locator(selector).first.evaluate("canvas => canvas.toDataURL()")


def until_changed(page: Any, before: str) -> str:
    page.wait_for_function(
        "before => document.getElementById('screen').toDataURL() !== before", arg=before
    )
    return pixels(page)


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


def violations(tab: Any) -> list[str]:
    """What axe-core holds against a page."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    found = axe.Axe().run(tab).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


def test_play_advances_and_pause_stops(anywhere: Any) -> None:
    page = anywhere
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


def test_the_sliders_set_frame_and_transmitter(anywhere: Any) -> None:
    page = anywhere
    first = pixels(page)
    page.locator("#frame").fill("9")
    assert "frame 9 of 14 · 0.9 s" in page.locator("#clock").inner_text()
    assert pixels(page) != first
    page.locator("#frame").fill("0")
    assert pixels(page) == first
    page.locator("#tx").press("ArrowRight")
    other = until_changed(page, first)
    assert page.locator("#tx-value").inner_text() == "1"
    page.locator("#tx").press("Home")
    assert until_changed(page, other) == first


def test_the_server_shows_every_trajectory(browser: Any, site: str, store: Store) -> None:
    tabs = opened(browser, f"{site}scene/1", viewport=DESKTOP)
    tab = next(tabs)
    first = pixels(tab)
    tab.locator("#traj").press("ArrowRight")
    until_changed(tab, first)
    tab.locator("nav a", has_text="next scene").click()
    painted(tab)
    assert tab.locator("#scene-name").inner_text() == store.scene_names[2]
    next(tabs, None)


def test_the_keyboard_drives_the_viewer(anywhere: Any) -> None:
    page = anywhere
    slider = page.locator("#frame")
    slider.focus()
    for key, wanted in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 14)):
        slider.press(key)
        assert frame(page) == wanted, key
    slider.press("Home")
    screen = page.locator("#screen")
    screen.focus()
    screen.press(" ")
    wait_until_frame(page, 2)
    screen.press(" ")
    stopped = frame(page)
    page.wait_for_timeout(400)
    assert frame(page) == stopped
    places = []
    for key in ("ArrowUp", "ArrowUp", "Shift+ArrowRight", "ArrowDown"):
        screen.press(key)
        text = page.locator("#probe").inner_text()
        places.append(re.findall(r"row (\d+), col (\d+)", text)[0])
    assert places == [("31", "32"), ("30", "32"), ("30", "42"), ("31", "42")]


def test_the_tab_key_reaches_every_control_in_a_few_steps(page: Any) -> None:
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    wanted = ["screen", "tx", "frame", "play", "speed", "difference", "vehicles", "find", "set"]
    at = [reached.index(name) for name in [*wanted, "scene", "ground-0"]]
    assert at == sorted(at)
    # The shelf is one stop, however many scenes stand on it, and so is the map.
    assert reached.count("scene") == reached.count("ground-0") == 1


def test_the_shelf_changes_the_scene_by_mouse_and_keyboard(page: Any, store: Store) -> None:
    before = pixels(page)
    page.locator(".thumb").nth(2).click()
    shown = until_changed(page, before)
    assert page.locator("#scene-name").inner_text() == store.scene_names[2]
    assert page.locator('.tile[aria-selected="true"]').get_attribute("data-scene") == "2"
    page.keyboard.press("ArrowRight")
    until_changed(page, shown)
    assert page.locator("#scene-name").inner_text() == store.scene_names[3]


def test_looking_for_a_scene_hides_the_others(page: Any) -> None:
    visible = "#shelf .thumb:not([hidden])"
    page.locator("#find").fill("_002")
    assert page.locator(visible).count() == 1
    assert page.locator("#found").inner_text() == "1 scene found"
    page.locator("#find").fill("")
    page.locator("#set").select_option(label="train")
    assert page.locator(visible).all_text_contents() == ["fake_000train", "fake_001train"]


def test_the_map_chooses_a_scene_by_mouse_and_keyboard(page: Any, store: Store) -> None:
    before = pixels(page)
    ground = page.locator("#ground-0")
    ground.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft"):  # the scenes lie in a row
        ground.press(key)
    assert ground.get_attribute("aria-activedescendant") == "tile-1"
    ground.press("Enter")
    shown = until_changed(page, before)
    assert page.locator("#scene-name").inner_text() == store.scene_names[1]
    page.locator("#tile-3").click()
    until_changed(page, shown)
    assert page.locator("#scene-name").inner_text() == store.scene_names[3]
    assert page.locator("#shelf input:checked").get_attribute("value") == "3"


def test_the_map_of_the_server_leads_to_the_scene(browser: Any, site: str, store: Store) -> None:
    tabs = opened(browser, site, viewport=DESKTOP)
    tab = next(tabs)
    assert tab.locator(".thumb img").first.evaluate("image => image.decode().then(() => 1)") == 1
    tab.locator("#ground-0").focus()
    tab.keyboard.press("End")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/scene/3")
    painted(tab)
    tab.go_back()
    tab.locator("input[name=find]").fill("_001")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**find=_001**")
    assert tab.locator(".thumb").all_text_contents() == ["fake_001train"]
    next(tabs, None)


def test_difference_and_vehicles_can_be_switched(anywhere: Any) -> None:
    page = anywhere
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


def test_hovering_reads_the_true_loss(anywhere: Any, store: Store) -> None:
    page, n = anywhere, store.grid.n
    before = pixels(page)
    page.locator("#tx").press("ArrowRight")
    until_changed(page, before)
    page.locator("#frame").fill("10")
    losses = store.pathloss(0, 0, 1)[10]
    random = np.random.default_rng(4)
    cells = [(0, 0), (n - 1, n - 1), *random.integers(0, n, (10, 2)).tolist()]
    for row, col in cells:
        hover(page, page.locator("#screen"), row, col, n)
        text = page.locator("#probe").inner_text()
        x, y = store.grid.centre(row, col)
        assert text.startswith(f"row {row}, col {col} · x {x:.1f} m, y {y:.1f} m · "), text
        if store.buildings(0)[row, col]:
            assert text.endswith("building")
        else:
            shown = float(re.search(r"([\d.]+) dB$", text)[1])
            # Half a level from the middle of the step, and the rounding to 0.1 dB.
            assert abs(shown - losses[row, col]) <= MOTION_SCALE.step_db / 2 + 0.051


def test_the_viewer_reads_loss_and_change(page: Any, store: Store) -> None:
    n, screen = store.grid.n, page.locator("#screen")
    losses = store.pathloss(0, 0, 0)
    changed = np.argwhere((np.abs(losses[10] - losses[0]) > 2) & ~np.isnan(losses[10]))
    row, col = changed[0].tolist()
    page.locator("#difference").check()
    page.locator("#frame").fill("10")
    hover(page, screen, row, col, n)
    text = page.locator("#probe").inner_text()
    change = float(re.search(r"\(([+-][\d.]+) dB since frame 0\)", text)[1])
    true = losses[10, row, col] - losses[0, row, col]
    assert abs(change - true) <= MOTION_SCALE.step_db + 0.051


@pytest.mark.parametrize(
    ("where", "scheme"),
    [("report", "light"), ("report", "dark"), ("contents", "light"), ("scene", "dark")],
)
def test_a_phone_shows_everything_and_axe_finds_nothing(
    browser: Any, report: Path, site: str, where: str, scheme: str
) -> None:
    url = {"report": report.as_uri(), "contents": site, "scene": f"{site}scene/1"}[where]
    tabs = opened(browser, url, viewport=PHONE, is_mobile=True, has_touch=True, color_scheme=scheme)
    tab = next(tabs)
    for index in range(tab.locator("details").count()):
        part = tab.locator("details").nth(index)
        if part.get_attribute("open") is None:
            part.locator("summary").tap()
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert violations(tab) == []
    if where != "contents":
        canvas = tab.locator("#screen")
        assert canvas.bounding_box()["width"] > 0.8 * PHONE["width"]
        canvas.tap()
        assert "row " in tab.locator("#probe").inner_text()
    next(tabs, None)


HOSTILE = (
    "</script><script>window.caught=1</script>",
    "\"><img src=x onerror='window.caught=1'>",
    "' onfocus=window.caught=1 autofocus tabindex=0 '",
    "<svg onload=window.caught=1>&lt;b&gt;",
    "<!--<script>",
    "javascript:window.caught=1",
    "\u202egnp.eman\u2066\x00\ud800\u0301",
    "x" * 5000 + "<b>" + "\n" * 50,
)


# of scenes; what else the title holds above, a store refuses in names
NAMES = tuple(re.sub("[\x00\ud800\n]", "", each)[-200:] for each in HOSTILE)


@pytest.mark.parametrize("where", ["report", "contents", "scene"])
def test_nothing_in_a_name_is_carried_out(browser: Any, tmp_path: Path, where: str) -> None:
    made = make_store(tmp_path, n=24, scenes=len(NAMES), traj=1, tx=1, frames=2)
    scenes = made.attributes["scenes"]
    for scene, name in zip(scenes, NAMES, strict=True):
        scene["name"] = name
        scene["provenance"]["source"] = name
    made.update_attributes({"scenes": scenes, "title": "".join(HOSTILE)})
    split = {"sets": {name: {"scenes": [name]} for name in NAMES}}
    write_bytes(tmp_path / "split.json", json.dumps(split).encode())
    with serving(tmp_path) as server:
        url = server.url
        if where == "report":
            url = write_report(made, tmp_path / "report.html", split=split).as_uri()
        elif where == "scene":
            url += "scene/1"
        tabs = opened(browser, url, viewport=PHONE)
        tab = next(tabs)
        assert tab.evaluate("window.caught") is None
        wide = """() => [...document.querySelectorAll("body *")].filter((node) =>
            node.getBoundingClientRect().right > innerWidth + 1 && !node.closest(".scroll")
        ).map((node) => node.outerHTML.slice(0, 100)).slice(0, 3)"""
        assert tab.evaluate(wide) == []
        tab.keyboard.press("Tab")
        assert tab.evaluate("window.caught") is None
        strange = "bdi *, h1 script, [onerror], [onload], [onfocus], [autofocus]"
        assert tab.locator(strange).count() == 0
        assert "\u202e" not in tab.content()
        if where == "report":
            for index in range(len(NAMES)):
                tab.locator(".thumb").nth(index).click()
            assert tab.evaluate("window.caught") is None
            assert tab.locator("img").count() == len(NAMES)
        next(tabs, None)


def test_both_themes_have_enough_contrast(browser: Any, report: Path) -> None:
    paper = {}
    for scheme in ("light", "dark"):
        tabs = opened(browser, report.as_uri(), viewport=DESKTOP, color_scheme=scheme)
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
