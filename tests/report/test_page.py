"""The report in a real browser: no requests, no errors; tables sort, sounds play, boxes fit."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.report import ReportSettings, write_report
from tests.toys.results import DATA, EVERYTHING, LOGMEL, TEXTS, Toys, edit, save

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no playwright; pip install -e '.[dev]'"
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright",
    reason="no axe-playwright-python; pip install -e '.[dev]'",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Elements that end beyond the screen, and do not lie in a box of their own that scrolls.
OVERFLOWING = """() => [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && !e.closest(".skip") && !e.parentElement.closest(".wide"))
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map((e) => e.outerHTML.slice(0, 120))"""
FOCUSED = """() => {
  const e = document.activeElement;
  return (e.closest('[data-column]') ? 'head' : e.className) || e.tagName;
}"""
DURATIONS = """async () => Promise.all([...document.querySelectorAll("audio")].map(async (a) => {
  if (a.readyState === 0)
    await new Promise((done) => { a.onloadedmetadata = done; a.onerror = done; });
  return [a.getAttribute("aria-label"), a.duration, a.error === null];
}))"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every part there is, and long names."""
    root = tmp_path_factory.mktemp("report")
    toys = Toys(
        means={
            (m, ipc): 0.33 + 0.1 * i + 0.02 * ipc
            for ipc in (1, 10)
            for i, m in enumerate(("random", "herding", "dm"))
        },
        datasets=("first", "a_dataset_with_a_name_that_is_longer_than_any_telephone_is_wide"),
        classes=(
            "bell",
            "a class whose name is long & has <marks>",
            "Donaudampfschifffahrtsgesellschaft",
        ),
        measures=EVERYTHING,
    )
    results = toys.write(root / "work")
    first = results / "first"
    edit(first / "ceiling.json", lambda value: value.update(data=DATA))
    blank = {"seed0.h5": {"logmel": [2, 3], "frame": [1, 3]}}
    edit(first / "dm" / "ipc1" / "scores.json", lambda value: value.update(blank=blank))
    shutil.copytree(first / "dm" / "ipc10", first / "dm" / ("by_hand_" * 8))
    shutil.rmtree(first / "random" / "ipc10")
    save(first / "random" / "ipc10" / "scores.json", {"skipped": "bell has 9 samples of 10"})
    save(first / "other" / "scores.json", "no JSON")
    write_report(
        results,
        root / "index.html",
        toys.grid,
        ReportSettings(gallery=1, baseline="herding"),
        TEXTS,
        LOGMEL,
    )
    return root / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Any]:
    """Open the report in a fresh window: it requests nothing and leaves the console empty."""
    contexts, asked, complaints = [], [], []

    def open_page(width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.route(
            lambda url: not url.startswith(("file:", "data:")), lambda route: route.abort()
        )
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}
    assert not complaints


def open_all(page: Any) -> None:
    page.evaluate(
        "document.querySelectorAll('details').forEach((details) => { details.open = true; })"
    )


def column(page: Any, label: str, number: int) -> list[str]:
    rows = page.locator(f"[aria-label='{label}'] tbody tr")
    return rows.evaluate_all(
        "(rows, number) => rows.map((row) => row.cells[number].innerText)", number
    )


def numbers_of(page: Any, label: str, number: int) -> list[float]:
    """The numbers of a column; dashes come last, and are left out."""
    texts = [re.split(r"\s", text)[0] for text in column(page, label, number)]
    numbers = [text for text in texts if text != "–"]
    assert texts == numbers + ["–"] * (len(texts) - len(numbers))
    return [float(text.replace("\N{MINUS SIGN}", "-")) for text in numbers]


def test_a_table_sorts_by_mouse_and_by_keyboard(opened: Any) -> None:
    page = opened()
    box = page.locator("[aria-label='Comparison on first']")
    head = box.get_by_role("columnheader", name="accuracy")
    label = "Comparison on first"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"  # the best first
    down = numbers_of(page, label, 2)
    assert len(down) == 5 and down == sorted(down, reverse=True)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert numbers_of(page, label, 2) == sorted(down)
    box.get_by_role("columnheader", name="HLR").get_by_role("button").press("Space")
    gaps = numbers_of(page, label, 4)
    assert gaps == sorted(gaps)  # less is better
    box.get_by_role("columnheader", name="method").get_by_role("button").press("Space")
    assert head.get_attribute("aria-sort") is None
    assert column(page, "Comparison on first", 0) == sorted(column(page, "Comparison on first", 0))


def test_columns_under_a_common_head_sort_and_the_whole_data_stay_last(opened: Any) -> None:
    page = opened()
    (label,) = page.evaluate(
        "[...document.querySelectorAll('[aria-label^=\"Task ranking on first\"]')]"
        ".map((e) => e.ariaLabel)"
    )
    for name, number, down in (
        ("convnet 0.002", 3, True),
        ("Spearman", 5, True),
        ("IPC", 1, False),
    ):
        page.locator(f"[aria-label='{label}']").get_by_role("button", name=name).click()
        numbers = numbers_of(page, label, number)
        assert numbers == sorted(numbers, reverse=down)
    assert page.locator(f"[aria-label='{label}'] tfoot th").inner_text() == "whole data"
    assert page.locator(f"[aria-label='{label}'] tr").last.inner_text().startswith("whole data")


def test_the_main_table_sorts_within_its_views(opened: Any) -> None:
    page = opened()
    label = "Accuracy on first, protocol budget, network convnet, head ensemble"
    table = page.locator(f"[aria-label='{label}']")
    for _ in range(2):  # down, the second time
        table.get_by_role("button", name="IPC").click()
    heads = table.locator("tbody th").all_inner_texts()
    assert heads == [
        text
        for view in ("Audio-visual (av)", "Audio (a)", "Visual (v)")
        for text in (view, "10", "1", "Whole data (upper bound): 90.0 ± 2.0 85.0 to 94.0")
    ]


def test_without_script_the_page_still_reads(opened: Any) -> None:
    page = opened(java_script_enabled=False)
    assert page.get_by_role("button").count() == 0
    assert page.get_by_role("columnheader", name="herding").first.is_visible()
    assert page.get_by_role("cell", name="35.0 ± 2.0").first.is_visible()


def test_every_sound_loads_and_lasts_a_second_per_piece(opened: Any) -> None:
    page = opened()
    durations = page.evaluate(DURATIONS)
    assert len(durations) == 2 * 3 * (3 + 1)  # datasets x classes x (methods and a start)
    for label, seconds, whole in durations:
        assert whole, label
        assert seconds == pytest.approx(4 if "; dm," in label else 1, abs=0.05), label


def test_a_sound_plays(opened: Any) -> None:
    page = opened()
    played = page.evaluate(
        "async () => { const a = document.querySelector('audio'); a.muted = true; await a.play();"
        " await new Promise((done) => { a.ontimeupdate = () => a.currentTime > 0.1 && done(); });"
        " return a.currentTime; }"
    )
    assert played > 0.1


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (800, "dark"), (1280, "light")])
def test_nothing_is_wider_than_the_screen(
    opened: Any, width: int, scheme: str, tmp_path: Path
) -> None:
    page = opened(width, color_scheme=scheme)
    open_all(page)
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture = tmp_path / f"{width}-{scheme}.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 10_000  # a blank one is smaller


@pytest.mark.parametrize(("scheme", "rules"), [("light", None), ("dark", ["color-contrast"])])
def test_axe_finds_nothing_serious(opened: Any, scheme: str, rules: list[str] | None) -> None:
    page = opened(color_scheme=scheme)
    open_all(page)
    options = {"runOnly": rules} if rules else {}
    answer = axe.Axe().run(page, options=options).response
    assert answer["passes"]  # it looked
    serious = [v for v in answer["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [
        (v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in serious
    ]


def test_the_keyboard_gets_everywhere(opened: Any) -> None:
    page = opened(400)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(FOCUSED))
        if {"head", "wide", "A", "SUMMARY", "AUDIO"} <= reached:
            break
    assert {"head", "wide", "A", "SUMMARY", "AUDIO"} <= reached
