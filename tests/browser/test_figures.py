"""What figures share, in a real browser: scripts that cannot clash, files that other programs read, fingers."""

import re
import xml.etree.ElementTree as ET

import pytest
from playwright.sync_api import Browser, Page, expect

from pages.figures.mount import joined
from tests.plain_maps import copy_with_maps

PLAIN = re.compile(r"none|#[0-9a-f]{6}")
DRAWN = {"circle", "line", "path", "polygon", "rect", "text", "tspan"}


def test_modules_with_the_same_names_do_not_clash(page, tmp_path):
    modules = {
        "base": "const name = 1;\nexport class Counter {\n  n = name;\n}\n"
        "export function name1() {\n  return name;\n}\n",
        "left": 'import { name1 } from "./base.js";\nconst name = 20;\nexport const sum = () => name1() + name;\n',
        "entry": 'import {\n  Counter,\n  name1,\n} from "./base.js";\nimport { sum } from "./left.js";\n'
        "const name = 300;\nexport default function draw() {\n  return [name, name1(), sum(), new Counter().n];\n}\n",
    }
    for name, text in modules.items():
        (tmp_path / f"{name}.js").write_text(text, "utf-8")
    run = """async (text) => {
      const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      return (await import(url)).default();
    }"""
    page.goto("about:blank")
    assert page.evaluate(run, joined(tmp_path / "entry.js")) == [300, 1, 21, 1]


def saved_svg(page: Page, key: str) -> ET.Element:
    with page.expect_download() as saved:
        page.locator(f".st-key-{key} .save").click()
    return ET.parse(saved.value.path()).getroot()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("path", "key"), [("steering", "steering_desk"), ("movement", "movement_flow")])
def test_a_saved_figure_says_its_colours_as_every_vector_tool_reads_them(visit, page, scheme, path, key):
    page.emulate_media(color_scheme=scheme)
    visit(path)
    shown = page.locator(f".st-key-{key} svg").last
    expect(shown).to_be_visible()
    root = saved_svg(page, key)
    parts = [part for part in root.iter() if part.tag.rpartition("}")[2] in DRAWN]
    assert len(parts) > 20
    for part in parts:
        assert PLAIN.fullmatch(part.attrib["fill"]) and PLAIN.fullmatch(part.attrib["stroke"]), part.attrib
        opacities = [part.attrib.get(f"{name}-opacity", "1") for name in ("fill", "stroke")]
        assert all(0 < float(opacity) <= 1 for opacity in opacities)
    assert any(float(part.attrib.get("fill-opacity", "1")) < 1 for part in parts)
    assert not [part for part in root.iter() if "class" in part.attrib or "href" in part.attrib]


@pytest.fixture(scope="module")
def map_address(serve, small_workspace, tmp_path_factory):
    return serve(copy_with_maps(small_workspace, tmp_path_factory.mktemp("maps")))


@pytest.fixture
def phone(browser: Browser, map_address, wait_for_app):
    """The Map page on a telephone."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    window = context.new_page()
    window.goto(f"{map_address}/map")
    wait_for_app(window)
    expect(window.locator(".stage")).to_have_attribute("data-state", "ready")
    window.locator(".stage").scroll_into_view_if_needed()
    yield window
    context.close()


def scrolled(page: Page) -> float:
    return page.get_by_test_id("stMain").evaluate("node => node.scrollTop")


def place(page: Page) -> dict[str, float]:
    """Where a dot stands within the map."""
    return page.locator(".stage").evaluate(
        "node => { const at = node.placeOf(3), box = node.getBoundingClientRect();"
        " return { x: at.x - box.left, y: at.y - box.top }; }"
    )


def touch(page: Page, paths: list[list[tuple[float, float]]]) -> None:
    """Fingers along paths of equally many places, all at once."""
    client = page.context.new_cdp_session(page)

    def send(kind: str, step: int | None) -> None:
        points = [] if step is None else [path[step] for path in paths]
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    send("touchStart", 0)
    for step in range(1, len(paths[0])):
        send("touchMove", step)
        page.wait_for_timeout(16)
    send("touchEnd", None)
    page.wait_for_timeout(300)


def test_one_finger_scrolls_the_page_past_the_map(phone):
    phone.get_by_test_id("stMain").evaluate("node => { node.scrollTop = 0; }")
    before = place(phone)
    y = (phone.locator(".stage").bounding_box()["y"] + 844) / 2
    touch(phone, [[(190, y - 10 * step) for step in range(25)]])
    assert scrolled(phone) > 150
    assert place(phone) == pytest.approx(before, abs=1)


def test_two_fingers_zoom_the_map_and_the_page_stays(phone):
    box, top, before = phone.locator(".stage").bounding_box(), scrolled(phone), place(phone)
    middle = box["y"] + 250
    touch(phone, [[(190, middle + side * (30 + 10 * step)) for step in range(10)] for side in (-1, 1)])
    assert scrolled(phone) == top
    assert abs(place(phone)["y"] - 250) > 2 * abs(before["y"] - 250) > 0
