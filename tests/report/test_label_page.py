"""label.html: its functions in node, and the whole page in a browser with real keys, where there are these."""

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import twofold.report
from twofold.curation import Picks, read_labels
from twofold.data import ImageSet
from twofold.data.pixels import Pixels
from twofold.report.label_page import write_label_page

SCRIPT = Path(twofold.report.__file__).parent / "templates" / "label.js"
NAMES = ["a.png", 'b,"c".png', "</script><b>é.png", *(f"{i:03d}.png" for i in range(97))]
NODE = pytest.mark.skipif(shutil.which("node") is None, reason="node is not there")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page of 100 images of 4 px, two classes, a suggestion for the first."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 3, 4, 4)).astype(np.uint8)
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    images = ImageSet(
        name="<made>",
        channels=3,
        fingerprint="f",
        paths=NAMES,
        labels=[None] * 100,
        splits=["train"] * 100,
        quarantine=[],
        findings=[],
        pixels=Pixels(tmp_path / "pixels", np.full((100, 2), 4), 3),
    )
    picks = Picks(
        rows=np.arange(100),
        method="typical",
        paths=NAMES,
        suggestions=["cat", *[None] * 99],
        probabilities=[0.75, *[None] * 99],
    )
    write_label_page(picks, images, ["cat", "dog"], tmp_path / "label.html")
    return tmp_path / "label.html"


def node(code: str) -> object:
    whole = f"const page = require({json.dumps(str(SCRIPT))}); console.log(JSON.stringify({code}))"
    done = subprocess.run(["node", "-e", whole], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@NODE
def test_what_the_page_saves_every_command_reads(tmp_path: Path) -> None:
    images, labels = [{"path": name} for name in NAMES], {name: f'l,"{i}"' for i, name in enumerate(NAMES[:3])}
    text = str(node(f"page.toCsv({json.dumps(images)}, {json.dumps(labels)})"))
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / "labels.csv", NAMES, "--labels") == [*labels.values(), *[None] * 97]
    assert node(f"page.fromCsv({json.dumps(text)}, {json.dumps(images)})") == labels


@NODE
def test_a_table_of_any_writer_is_loaded_and_other_images_are_left_out() -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([["label", "path"], ["x\ny", "a.png"], ["z", "other.png"], ["", NAMES[1]]])
    text = json.dumps("\ufeff" + stream.getvalue())
    assert node(f"page.fromCsv({text}, {json.dumps([{'path': name} for name in NAMES])})") == {"a.png": "x\ny"}
    with pytest.raises(subprocess.CalledProcessError):
        node("page.fromCsv('a,b\\n', [])")


@NODE
def test_the_next_image_is_the_next_without_a_label() -> None:
    images = json.dumps([{"path": name} for name in "abc"])
    assert node(f"page.nextUnlabelled({images}, {{b: 'x'}}, 1)") == 2
    assert node(f"page.nextUnlabelled({images}, {{b: 'x', c: 'x'}}, 1)") == 0
    assert node(f"page.nextUnlabelled({images}, {{a: 'x', b: 'x', c: 'x'}}, 2)") == 2


def test_names_of_files_end_no_script_and_nothing_is_loaded_from_elsewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("</script>") == 2
    assert "</script><b>" not in text
    assert "&lt;made&gt;" in text
    assert "connect-src" not in text
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")


@pytest.fixture
def browser() -> Iterator[object]:
    sync = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is there")
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_context(accept_downloads=True, offline=True)
        browser.close()


def test_a_hundred_images_are_labelled_by_keys_with_a_reload_in_the_middle(page: Path, browser: object) -> None:
    tab = browser.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(page.as_uri())
    press = tab.keyboard.press
    press("Enter")  # the suggestion
    press("2")
    press("1")
    press("Backspace")  # not that
    press("n")
    tab.keyboard.type("a new, class")
    press("Enter")
    press(" ")  # the same again
    press("ArrowRight")
    for _ in range(45):
        press("2")
    tab.reload()
    assert tab.text_content("#status").startswith("49 of 100 labelled.")
    for _ in range(51):
        press("1")
    assert tab.text_content("#status") == "100 of 100 labelled. All done: save labels.csv."
    press("g")
    assert tab.locator("#grid figure.done").count() == 100
    with tab.expect_download() as download:
        press("s")
    saved = page.with_name("labels.csv")
    download.value.save_as(saved)
    labels = read_labels(saved, NAMES, "--labels")
    assert labels[:5] == ["cat", "dog", "a new, class", "a new, class", "cat"], "the skipped one came last"
    assert labels.count("dog") == 46
    assert labels.count("cat") == 52
    tab.evaluate("localStorage.clear()")
    tab.reload()
    assert tab.text_content("#status").startswith("0 of 100")
    tab.set_input_files("#load", saved)
    tab.wait_for_function("document.getElementById('status').textContent.startsWith('100 of 100')")
    assert faults == []
