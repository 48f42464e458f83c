"""The report in a browser: silent, usable, printable, and without a violation that axe-core finds.

Skipped where there is no Chromium. axe-core (npm install axe-core) lies in node_modules, or where AXE_CORE says.
"""

import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from twofold.report import build_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
POINT = """
<script>
document.title = "";
const mark = document.querySelector("[data-image='3']");
mark.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: 40, clientY: 40}));
document.title = pointer.hidden + "|" + pointer.innerText;
</script>
"""
AUDIT = """
<script>
axe.run().then(({violations, passes}) => {
  document.title = passes.length + "|" + violations.map((one) => one.id + " " + one.nodes[0].html).join("; ");
});
</script>
"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")


def browse(page: Path, *options: str) -> tuple[str, str]:
    """(the page's elements when all scripts have run, what the browser said)."""
    assert BROWSER is not None
    shared = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=5000")
    command = [BROWSER, *shared, f"--user-data-dir={page.parent / 'profile'}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def with_script(page: Path, script: str) -> Path:
    changed = page.with_name("changed.html")
    changed.write_text(page.read_text(encoding="utf-8").replace("</body>", script + "</body>"), encoding="utf-8")
    return changed


def title(elements: str) -> str:
    return unescape(re.findall(r"<title>(.*?)</title>", elements, re.DOTALL)[0])


def test_pointing_at_a_dot_shows_its_image_and_the_console_stays_silent(rich: Path) -> None:
    elements, said = browse(with_script(build_report(rich), POINT), "--dump-dom")
    hidden, told = title(elements).split("|", maxsplit=1)
    assert hidden == "false"
    assert told.startswith("heron")
    assert told.strip().endswith("/3.png")
    assert "CONSOLE" not in said


def test_a_page_that_speaks_or_asks_the_network_would_be_heard(rich: Path) -> None:
    loud = "<img src='https://example.invalid/one.png' alt=''>"
    _, said = browse(with_script(build_report(rich), loud), "--dump-dom")
    assert "CONSOLE" in said  # the page's own policy refuses it, and the browser says so


def test_it_prints(rich: Path, tmp_path: Path) -> None:
    browse(build_report(rich), f"--print-to-pdf={tmp_path / 'report.pdf'}")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type /Page\b", content)) <= 16


@pytest.mark.skipif(not AXE.is_file(), reason="there is no axe-core here")
def test_axe_finds_no_violation(rich: Path) -> None:
    audit = f"<script>{AXE.read_text(encoding='utf-8')}</script>{AUDIT}"
    passes, violations = title(browse(with_script(build_report(rich), audit), "--dump-dom")[0]).split("|", maxsplit=1)
    assert int(passes) > 20
    assert violations == ""


@pytest.mark.skipif(not AXE.is_file(), reason="there is no axe-core here")
def test_axe_would_find_pale_text(rich: Path) -> None:
    audit = f"<p style='color: #ccc'>pale</p><script>{AXE.read_text(encoding='utf-8')}</script>{AUDIT}"
    assert "color-contrast" in title(browse(with_script(build_report(rich), audit), "--dump-dom")[0])
