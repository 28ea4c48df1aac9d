"""Takes the screenshots in docs/screenshots: `.venv/bin/python e2e/screenshots.py`."""

import base64
import json
import sys
import tempfile
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

import browser
import programs
import stack
import test_pages
from test_pages import BUSY, CONFIG, NAME, PASSWORD, Gateway, sign_in

FOLDER = stack.ROOT / "docs/screenshots"
TENANTS = (
    {"name": "research", "budget_usd": 0.02, "rate_limit_rpm": 60, "max_concurrent": 10},
    {"name": "n8n", "budget_usd": 5, "requests_per_hour": 2000},
    {"name": "claude-code"},
)
SHOTS = {
    "overview": "/admin", "requests": "/admin/requests", "call": "CALL", "playground": "PLAYGROUND",
    "tenants": "/admin/tenants", "tenant": "TENANT", "tenant-keys": "TENANT?tab=keys",
    "tenant-settings": "TENANT?tab=settings", "routes": "/admin/routes", "edit": "/admin/routes/edit",
    "explain": "/admin/explain?model=fast", "usage": "/admin/usage", "prices": "/admin/prices",
    "health": "/admin/health", "audit": "/admin/audit", "setup": "/admin/setup",
    "welcome": "/admin/welcome?step=provider", "home": "/", "sign-in": "/admin/sign-in",
}


def api(gateway, path, body):
    """What the admin API answers to a POST."""
    basic = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(
        gateway.url + path, json.dumps(body).encode(),
        {"authorization": f"Basic {basic}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def stream(text):
    words = [{"text": f"{word} "} for word in text.split()]
    pauses = [step for word in words for step in (word, {"wait_ms": 4})]
    return {"stream": ["role", {"wait_ms": 60}, *pauses, {"finish": "stop"}, {"usage": [1204, 318]}, "done"]}


def traffic(gateway, provider):
    """An ordinary day in a minute."""
    tenants = [api(gateway, "/admin/tenants", tenant) for tenant in TENANTS]
    answer = stream("Boats pass between stretches of water that lie at different heights.")
    plans = [([answer], {}), ([BUSY, answer], {}), ([answer], {}), ([answer], {}), ([BUSY], {"model": "alone"})]
    for round_ in range(12):
        for place, (script, more) in enumerate(plans):
            provider.script(*script)
            key = tenants[(round_ + place) % len(tenants)]["api_key"]
            gateway.call(key=key, stream=True, stream_options={"include_usage": True}, **more)
    return tenants


def shoot(page, name, path):
    page.goto(path)
    page.wait_for_timeout(150)
    page.screenshot(path=FOLDER / f"{name}.png", full_page="requests" not in name)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    executables = programs.built()
    folder = Path(tempfile.mkdtemp())
    provider = programs.Provider(executables["fake-provider"], log=folder / "provider")
    gateway = Gateway(executables["lockgate"], folder, CONFIG.replace("PROVIDER", provider.url))
    tenants = traffic(gateway, provider)
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=browser.installed(), args=list(browser.FLAGS))
        for suffix, options in {
            "": {"viewport": {"width": 1280, "height": 800}},
            "-dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
            "-narrow": {"viewport": {"width": 360, "height": 780}},
        }.items():
            context = launched.new_context(base_url=gateway.url, **options)
            page = context.new_page()
            sign_in(page, NAME, PASSWORD)
            page.goto("/admin/requests?failed_over=1")
            call = page.locator("#rows a").first.get_attribute("href")
            for name, path in SHOTS.items():
                if suffix and name not in ("overview", "requests", "call", "tenant"):
                    continue
                path = path.replace("TENANT", f"/admin/tenants/{tenants[0]['id']}").replace("CALL", call)
                if path == "PLAYGROUND":
                    playground(page, provider)
                else:
                    shoot(page, name + suffix, path)
            context.close()
        launched.close()
    gateway.process.stop()
    provider.stop()


def playground(page, provider):
    provider.script(BUSY, stream("Canals have locks so that boats can pass between stretches of water at different heights."))
    page.goto("/admin/playground?model=fast")
    page.get_by_role("button", name="Send").click()
    test_pages.expect(page.locator("#sum")).to_contain_text("the whole story")
    page.screenshot(path=FOLDER / "playground.png", full_page=True)


if __name__ == "__main__":
    sys.exit(main())
