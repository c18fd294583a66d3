"""The page in a real browser: every page in both themes and two sizes, checked by axe, with a clean console, and working
without script. `make ui-test` runs it; screenshots go to target/ui."""

import os
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

BASE = sys.argv[1].rstrip("/")
OUT = sys.argv[2]
BROWSER = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
problems = []


def complain(where, what):
    problems.append(f"{where}: {what}")


def watched(context, where):
    page = context.new_page()
    page.on("console", lambda said: said.type in ("error", "warning") and complain(where, said.text))
    page.on("pageerror", lambda error: complain(where, error))
    page.on("request", lambda asked: asked.url.startswith(BASE) or complain(where, f"asks {asked.url}"))
    return page


def pages(browser):
    """The pages of the navigation, one secret, and one namespace."""
    page = browser.new_page()
    page.goto(BASE + "/")
    found = [link.get_attribute("href") for link in page.locator("header nav a").all()]
    for listed, below in (("/secrets", "/secrets/"), ("/namespaces", "/namespaces/")):
        page.goto(BASE + listed)
        link = page.locator(f'main a[href^="{below}"]')
        if link.count():
            found.append(link.first.get_attribute("href"))
    page.goto(BASE + "/")
    page.close()
    return found


def look(browser, paths):
    for theme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            view = {"width": width, "height": height}
            context = browser.new_context(color_scheme=theme, viewport=view)
            for path in paths:
                where = f"{path} {theme} {size}"
                page = watched(context, where)
                page.goto(BASE + path)
                page.wait_for_selector('[data-state="live"]')
                name = path.strip("/").replace("/", "-") or "overview"
                page.screenshot(path=f"{OUT}/{name}-{theme}-{size}.png")
                for found in Axe().run(page, options=RULES).response["violations"]:
                    nodes = [node["target"] for node in found["nodes"]][:3]
                    complain(where, f"axe {found['id']}: {found['help']} {nodes}")
                wide = page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    complain(where, f"scrolls sideways: {wide} of {width}")
                page.close()
            context.close()


def use(browser):
    """What people do: filter, keep the focus while the page is swapped, change the theme, use the keyboard."""
    context = browser.new_context()
    page = watched(context, "flow")
    page.goto(BASE + "/secrets")
    page.wait_for_selector('[data-state="live"]')
    page.select_option('select[name="state"]', "Failing")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**state=Failing**")
    for row in page.locator("tbody tr").all():
        if "Failing" not in row.inner_text():
            complain("flow", "the filter lets something else through")
    link = page.locator("tbody th a").first
    link.focus()
    address, drawn = link.get_attribute("href"), page.locator("#clock").inner_text()
    page.wait_for_function("old => document.getElementById('clock').textContent !== old", arg=drawn, timeout=40_000)
    if page.evaluate("document.activeElement.getAttribute('href')") != address:
        complain("flow", "the focus is lost when the page is swapped")
    for theme in ("light", "dark"):
        page.get_by_role("button", name="Theme").click()
        page.reload()
        if page.evaluate("document.documentElement.dataset.theme") != theme:
            complain("flow", f"the theme {theme} is forgotten")
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.className") != "skip":
        complain("flow", "the skip link is not first")
    context.close()
    context = browser.new_context(java_script_enabled=False)
    page = watched(context, "without script")
    page.goto(BASE + "/secrets?state=Synced")
    if not page.locator("tbody tr").count():
        complain("without script", "no rows")
    context.close()


with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
    every = pages(chromium)
    look(chromium, every)
    use(chromium)
    chromium.close()
print(f"{len(every)} pages, 2 themes, {len(SIZES)} sizes: {len(problems)} problems")
for problem in problems:
    print(problem)
sys.exit(bool(problems))
