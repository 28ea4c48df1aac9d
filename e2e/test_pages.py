"""The pages for operators in a real browser, before a gateway with a scripted provider."""

import json
import re
import urllib.error
import urllib.request

import pytest

import browser
import programs
import stack

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright_api.expect

NAME, PASSWORD = "ann", "correct horse battery staple"
KEY = "sk-of-the-gateway"
CONFIG = """
api_key: sk-of-the-gateway
admin:
  users:
    - { name: ann, password: "correct horse battery staple", role: admin }
    - { name: vera, password: "only looking at it all", role: viewer }
providers:
  - { name: groq, base_url: "PROVIDER/groq", api_key: sk-one }
  - { name: openrouter, base_url: "PROVIDER/openrouter", api_key: sk-two }
routes:
  - name: fast
    description: First one, then the other
    cooldown: 0s
    steps: [{ provider: groq, model: gpt-oss-120b }, { provider: openrouter, model: gpt-oss-120b }]
  - name: alone
    cooldown: 0s
    steps: [{ provider: groq, model: llama-3.3-70b }]
prices:
  - { provider: groq, model: gpt-oss-120b, input: 0.15, output: 0.6 }
  - { provider: openrouter, model: gpt-oss-120b, input: 0.1, output: 0.9 }
"""
BUSY = {"error": {"type": "rate_limit_error", "message": "slow down"}, "status": 429}
PAGES = (
    "/admin", "/admin?window=30d", "/admin/requests", "/admin/requests?failed=1&range=1h",
    "/admin/playground", "/admin/tenants", "/admin/tenants/new", "/admin/routes",
    "/admin/routes/edit", "/admin/explain?model=fast", "/admin/usage", "/admin/prices",
    "/admin/health", "/admin/audit", "/admin/setup", "/admin/welcome", "/", "/admin/sign-in",
)
AXE = stack.ROOT / "e2e/node_modules/axe-core/axe.min.js"


class Gateway:
    """A gateway of its own, with what it says when it starts."""

    def __init__(self, executable, folder, config):
        self.folder = folder
        if config:
            (folder / "config.yaml").write_text(config)
        self.process = programs.Process(
            executable, "serve", "--listen", "127.0.0.1:0", log=folder / "log", cwd=folder,
            env={"PATH": "/usr/bin:/bin"},
        )
        self.url = self.process.line().split()[-1]

    def call(self, key=KEY, model="fast", **more):
        """Makes a call as a program would, and gives its status."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions", json.dumps(body).encode(),
            {"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                response.read()
                return response.status
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture(scope="module")
def chromium():
    path = browser.installed()
    if path is None:
        pytest.skip("there is no Chromium here and none can be installed; CI has one")
    with playwright_api.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, args=list(browser.FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def start(executables, tmp_path_factory):
    started = []

    def start(config):
        gateway = Gateway(executables["lockgate"], tmp_path_factory.mktemp("pages"), config)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.process.stop()


@pytest.fixture(scope="module")
def gateway(start, provider):
    """A gateway with some calls: answered, failed over, failed, refused."""
    gateway = start(CONFIG.replace("PROVIDER", provider.url))
    provider.script({"completion": "One"}, BUSY, {"completion": "Two"}, BUSY)
    assert [gateway.call(), gateway.call(), gateway.call(model="alone")] == [200, 200, 429]
    assert gateway.call(model="nothing-of-this-name") == 404
    return gateway


@pytest.fixture
def visit(chromium, gateway):
    """Opens pages, each in a browser of its own, signed in."""
    contexts = []

    def visit(path="/admin", name=NAME, password=PASSWORD, at=gateway, **options):
        options = {"viewport": {"width": 1280, "height": 800}, "base_url": at.url} | options
        context = chromium.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.violations = []
        page.on("console", lambda line: "Content Security" in line.text and page.violations.append(line.text))
        page.on("pageerror", lambda error: page.violations.append(str(error)))
        if name:
            sign_in(page, name, password)
        page.goto(path)
        return page

    yield visit
    for context in contexts:
        for page in context.pages:
            assert getattr(page, "violations", []) == []
        context.close()


def sign_in(page, name, password):
    page.goto("/admin/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def new_tenant(page, name):
    """Makes a tenant, and gives its key."""
    page.goto("/admin/tenants/new")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Make tenant and key").click()
    return page.locator("#new-key").inner_text()


def set_up(gateway, visit, provider):
    """Takes the first two of three steps in a browser, from a gateway's first start on, and gives the page."""
    password = gateway.process.line().split()[-1]
    provider.script({"json": {"object": "list", "data": [{"id": "gpt-oss-120b"}]}})
    page = visit("/", name=None, at=gateway)
    expect(page.get_by_text("healthy")).to_be_visible()
    expect(page.get_by_text(f"{gateway.url}/v1")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Three steps to a first answer").click()

    page.get_by_label("Provider").select_option("openai")
    page.get_by_label("Its key").fill("sk-mine")
    page.get_by_label("Base URL").fill(f"{provider.url}/openai")
    page.get_by_role("button", name="Save and test").click()
    expect(page.locator("datalist option[value='gpt-oss-120b']")).to_be_attached()
    page.get_by_label("Model", exact=True).fill("gpt-oss-120b")
    page.get_by_role("button", name="Go on").click()
    return page


def test_first_run_to_a_first_answer(start, visit, provider):
    gateway = start(None)
    page = set_up(gateway, visit, provider)
    page.get_by_role("button", name="Make the key").click()

    key = page.locator("#new-key").inner_text()
    assert key in page.locator("pre").inner_text()
    provider.script({"completion": "A first answer"})
    assert gateway.call(key=key, model="fast") == 200
    assert provider.seen()[0]["headers"]["authorization"] == "Bearer sk-mine"
    page.get_by_role("link", name="See its calls").click()
    expect(page.locator("tr", has_text="my-service")).to_contain_text("answered")


def test_from_the_first_start_to_a_client_with_a_key_and_a_budget(start, visit, provider):
    gateway = start(None)
    page = set_up(gateway, visit, provider)

    # A budget needs a price, and this provider is not the one that it resembles.
    page.goto("/admin/prices")
    page.locator("#provider").fill("openai")
    page.locator("#model").fill("gpt-oss-120b")
    page.get_by_label("Input", exact=True).fill("1")
    page.get_by_label("Output", exact=True).fill("2")
    page.get_by_role("button", name="Set price").click()
    page.goto("/admin/tenants/new")
    page.get_by_label("Name", exact=True).fill("my-client")
    page.get_by_label("Budget, US dollars").fill("5")
    page.get_by_role("button", name="Make tenant and key").click()
    key = page.locator("#new-key").inner_text()
    provider.script({"completion": "Hello"}, BUSY)
    assert [gateway.call(key=key), gateway.call(key=key)] == [200, 429]
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_role("link", name="Spend and limits").click()
    expect(page.locator("main")).to_contain_text("$5")

    page.goto("/admin")
    failures = page.locator("section", has_text="Recent failures").last
    failures.get_by_role("link", name=re.compile("429 rate limited")).click()
    expect(page.locator(".story")).to_contain_text("429 rate limited")


def test_kept_prompts_are_shown_with_their_end(start, visit, provider):
    settings = "requests: { prompts: { enabled: true, retention: 24h } }\n"
    gateway = start(CONFIG.replace("PROVIDER", provider.url) + settings)
    provider.script({"completion": "A kept answer"})
    assert gateway.call() == 200
    page = visit("/admin/requests", at=gateway)
    expect(page.locator("main")).to_contain_text("Prompts and answers are stored for a day.")
    page.locator("#rows tr").first.get_by_role("link").first.click()
    expect(page.locator("section.card", has_text="Prompt").last).to_contain_text("Hello")
    expect(page.locator("section.card", has_text="Answer").last).to_contain_text("A kept answer")
    expect(page.locator("main")).to_contain_text("the response names")


def test_a_route_says_how_it_chooses_and_what_cools_down(start, visit, provider):
    config = CONFIG.replace("PROVIDER", provider.url).replace("cooldown: 0s", "cooldown: 5m", 1)
    config = config.replace("    steps: [{", "    strategy: weighted\n    steps: [{ weight: 9, when: { tools: false },", 1)
    gateway = start(config)
    provider.script(BUSY, {"completion": "Yes"})
    gateway.call()
    page = visit("/admin/routes", at=gateway)
    row = page.locator("tr", has_text="First one, then the other")
    expect(row).to_contain_text("by weight")
    expect(row).to_contain_text("only without tools · weight 9")
    expect(row).to_contain_text("cooldown,")
    expect(page.locator("tr", has_text="alone")).to_contain_text("one target")


def test_a_tenants_key_is_shown_once_and_works(visit, gateway, provider):
    provider.script({"completion": "Yes"})
    page = visit()
    key = new_tenant(page, "research")
    assert gateway.call(key=key) == 200
    page.get_by_role("link", name="I have stored it").click()
    expect(page.get_by_role("cell", name=f"…{key[-4:]}")).to_be_visible()
    assert key not in page.content()
    page.reload()
    assert key not in page.content()


def test_a_wrong_setting_is_named_at_its_field(visit):
    page = visit("/admin/tenants/new")
    page.get_by_label("Name", exact=True).fill("prefixed")
    page.get_by_label("Prefix of keys").fill("no blanks please")
    page.get_by_role("button", name="Make tenant and key").click()
    field = page.get_by_label("Prefix of keys")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("no blanks please")
    field.fill("gw-")
    page.get_by_role("button", name="Make tenant and key").click()
    expect(page.locator("#new-key")).to_contain_text("gw-")


def test_a_rotated_key_lets_the_old_one_live_for_a_while(visit, gateway, provider):
    provider.script({"completion": "Yes"})
    page = visit()
    old = new_tenant(page, "rotating")
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_text("Rotate", exact=True).click()
    page.get_by_role("button", name="Make a second key").click()
    new = page.locator("#new-key").inner_text()
    assert new != old
    assert [gateway.call(key=old), gateway.call(key=new)] == [200, 200]
    expect(page.get_by_text(re.compile("in 2[34] h|in 1 day"))).to_be_visible()

    row = page.locator("tr", has_text=f"…{old[-4:]}")
    row.get_by_text("Revoke", exact=True).click()
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The key is revoked.")).to_be_visible()
    assert [gateway.call(key=old), gateway.call(key=new)] == [401, 200]


def test_why_a_call_failed_is_one_click_away(visit):
    page = visit("/admin")
    failures = page.locator("section", has_text="Recent failures").last
    failures.get_by_role("link", name="The only target failed: groq 429 rate limited").click()
    expect(page.locator(".story")).to_contain_text("groq failed (429 rate limited)")
    expect(page.get_by_role("img", name=re.compile("Time line"))).to_be_visible()
    expect(page.locator("tr", has_text="groq/llama-3.3-70b")).to_contain_text("no target is left")


def test_a_failover_is_shown_with_its_cost(visit):
    page = visit("/admin/requests?failed_over=1")
    row = page.locator("#rows tr").first
    expect(row).to_contain_text("groq 429")
    expect(row).to_contain_text("openrouter")
    row.get_by_role("link").first.click()
    expect(page.locator(".story")).to_contain_text("so openrouter answered")
    expect(page.locator(".story")).to_contain_text("It cost $")
    expect(page.get_by_role("cell", name="Output", exact=True)).to_be_visible()


@pytest.mark.parametrize("label", ["OpenAI chat", "Responses", "Anthropic", "Gemini"])
def test_the_playground_shows_attempts_as_they_happen(visit, provider, label):
    provider.script(BUSY, {"stream": [
        "role", {"text": "Canals "}, {"latch": "rest"}, {"text": "have locks."}, {"finish": "stop"},
        {"usage": [9, 12]}, "done",
    ]})
    page = visit("/admin/playground?model=fast")
    page.get_by_role("tab", name=label).click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#attempts li").first).to_contain_text("429")
    expect(page.locator("#attempts li").nth(1)).to_contain_text("answering")
    expect(page.locator("#answer")).to_have_text("Canals")
    provider.open("rest")
    expect(page.locator("#answer")).to_have_text("Canals have locks.")
    expect(page.locator("#sum")).to_contain_text("9 tokens in, 12 out")
    page.get_by_role("link", name="the whole story").click()
    expect(page.locator(".story")).to_contain_text("so openrouter answered")


def test_a_playground_call_is_copied_as_code(visit):
    page = visit("/admin/playground?model=fast")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for language, expected in [("curl", "curl -N 'http"), ("Python", "OpenAI("), ("TypeScript", "new OpenAI(")]:
        page.get_by_role("button", name=language).click()
        expect(page.get_by_text("Copied").last).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert expected in copied and "Why do canals have locks?" in copied


def test_new_calls_appear_by_themselves(visit, gateway, provider):
    provider.script({"completion": "Yes"})
    page = visit("/admin/requests?range=1h")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#age")).to_contain_text("Updated")
    before = page.locator("#rows tr").count()
    gateway.call(model="alone")
    expect(page.locator("#rows tr")).to_have_count(before + 1)
    expect(page.locator("#rows tr").first).to_contain_text("alone")


def test_a_change_is_previewed_and_a_fault_is_shown_at_its_line(visit):
    page = visit("/admin/routes")
    page.get_by_role("link", name="Edit").click()
    editor = page.get_by_label("Configuration, YAML")
    text = editor.input_value()
    assert "sk-one" not in text
    editor.fill(text.replace("description: First one", "descripshun: First one"))
    page.get_by_role("button", name="Check and preview").click()
    expect(page.locator(".source .wrong")).to_contain_text("descripshun")

    page.get_by_label("Configuration, YAML").fill(text.replace(
        "{ provider: groq, model: llama-3.3-70b }", "{ provider: openrouter, model: llama-3.3-70b }",
    ))
    page.get_by_role("button", name="Check and preview").click()
    expect(page.locator(".source .plus")).to_contain_text("openrouter, model: llama-3.3-70b")
    changed = page.locator("tr", has_text="alone")
    expect(changed).to_contain_text("groq/llama-3.3-70b: attempted first")
    expect(changed).to_contain_text("openrouter/llama-3.3-70b: attempted first")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The changes are in force.")).to_be_visible()
    expect(page.locator("tr", has_text="alone")).to_contain_text("openrouter/llama-3.3-70b")
    page.get_by_role("link", name="Audit").click()
    expect(page.locator("tr", has_text="update configuration").first).to_contain_text(NAME)


def test_a_conflict_is_merged_and_not_lost(visit):
    first, second = visit("/admin/routes/edit"), visit("/admin/routes/edit")
    editor = first.get_by_label("Configuration, YAML")
    editor.fill(editor.input_value().replace("First one, then the other", "Said by one"))
    first.get_by_role("button", name="Check and preview").click()
    first.get_by_role("button", name="Save").click()
    expect(first.get_by_text("The changes are in force.")).to_be_visible()

    editor = second.get_by_label("Configuration, YAML")
    editor.fill(editor.input_value() + "default_model: fast\n")
    second.get_by_role("button", name="Check and preview").click()
    expect(second.get_by_role("alert")).to_contain_text("saved another version")
    merged = second.get_by_label("Configuration, YAML").input_value()
    assert "Said by one" in merged and "default_model: fast" in merged
    second.get_by_role("button", name="Check and preview").click()
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_text("The changes are in force.")).to_be_visible()


def test_a_provider_is_tested_and_lists_its_models(visit, provider):
    provider.script({"json": {"object": "list", "data": [{"id": "gpt-oss-120b"}]}})
    page = visit("/admin/routes")
    row = page.locator("#p-groq")
    row.get_by_role("button", name="Fetch models").click()
    expect(page.locator("#p-groq")).to_contain_text("gpt-oss-120b")
    provider.script({"raw": "no", "content_type": "text/html", "status": 401})
    page.locator("#p-groq").get_by_role("button", name="Test connection").click()
    expect(page.locator("#p-groq .notice.is-err")).to_be_visible()


def test_a_price_is_set(visit):
    page = visit("/admin/prices")
    unknown = page.locator("li", has_text="llama-3.3-70b")
    unknown.get_by_role("link", name="Set price").click()
    page.get_by_label("Input", exact=True).fill("0.5")
    page.get_by_label("Output", exact=True).fill("0.8")
    page.get_by_role("button", name="Set price").click()
    expect(page.get_by_text("The price counts from the next call on.")).to_be_visible()
    expect(page.locator("tr", has_text="llama-3.3-70b")).to_contain_text("$0.80")


def test_guessing_passwords_is_slowed_down(start, visit):
    gateway = start(CONFIG.replace("PROVIDER", "http://127.0.0.1:9"))
    page = visit("/admin/sign-in", name=None, at=gateway)
    for _ in range(30):
        sign_in(page, NAME, "a wrong password")
        text = page.get_by_role("alert").inner_text()
        if "Too many attempts" in text:
            return
        assert text == "This name or password is wrong."
    pytest.fail("thirty wrong passwords were checked")


def test_a_page_that_is_not_there_says_so_as_a_page(visit):
    page = visit("/admin/no-such-page")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    page.context.clear_cookies()
    page.goto("/admin/export")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_out_everywhere_ends_every_session(visit):
    here, there = visit("/admin/health", name="vera", password="only looking at it all"), visit(
        "/admin/health", name="vera", password="only looking at it all",
    )
    expect(there.get_by_role("heading", name="Health")).to_be_visible()
    here.get_by_text("Sign out").first.click()
    here.get_by_role("button", name="Sign out everywhere").click()
    expect(here.get_by_role("heading", name="Sign in")).to_be_visible()
    there.goto("/admin/requests")
    expect(there.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(there, "vera", "only looking at it all")
    expect(there.get_by_role("heading", name="Overview")).to_be_visible()


def test_a_viewer_changes_nothing(visit):
    page = visit("/admin/tenants", name="vera", password="only looking at it all")
    expect(page.get_by_role("heading", name="Tenants")).to_be_visible()
    expect(page.get_by_role("link", name="New tenant")).to_have_count(0)
    refused = page.context.request.post(
        "/admin/tenants", form={"name": "sneaky"}, headers={"accept": "text/html"},
    )
    assert refused.status == 403


def test_a_page_of_another_origin_changes_nothing(chromium, visit, gateway):
    page = visit("/admin")
    other = page.context.new_page()
    other.route("http://evil.test/*", lambda route: route.fulfill(content_type="text/html", body=f"""
        <form method="post" action="{gateway.url}/admin/tenants"><input name="name" value="csrf"></form>
        <script>document.forms[0].submit()</script>"""))
    other.goto("http://evil.test/")
    other.wait_for_url(f"{gateway.url}/**")
    assert "csrf" not in visit("/admin/tenants").locator("main").inner_text()
    cookies = page.context.cookies(gateway.url)
    cookie = "; ".join(f"{it['name']}={it['value']}" for it in cookies)
    for headers in (
        {"origin": "http://evil.test"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    ):
        request = urllib.request.Request(
            f"{gateway.url}/admin/tenants", b"name=csrf",
            {"cookie": cookie, "accept": "text/html", **headers,
             "content-type": "application/x-www-form-urlencoded"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_is_accessible_and_fits(visit, scheme, width):
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto("/admin/requests?range=1h")
    call = page.locator("#rows a").first.get_attribute("href")
    page.goto("/admin/tenants")
    tenant = page.locator("tbody a").last.get_attribute("href")
    axe = AXE.read_text()
    for path in (*PAGES, call, tenant, f"{tenant}?tab=keys", f"{tenant}?tab=settings", f"{tenant}?tab=audit"):
        response = page.goto(path)
        assert response.status == 200, path
        assert len(response.body()) <= 100_000, path
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{path} is {overflow} px too wide"
        page.evaluate(axe)
        violations = page.evaluate("axe.run().then(found => found.violations.map(it => [it.id, it.nodes.map(n => n.html)]))")
        assert violations == [], path


def test_nothing_in_a_page_can_run_what_a_stranger_wrote(visit, gateway):
    gateway.call(model="<img src=x onerror=alert(1)>")
    page = visit("/admin/requests?range=1h")
    expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
    policy = page.request.get("/admin", headers={"accept": "text/html"}).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "require-trusted-types-for 'script'" in policy
    blocked = page.evaluate("""() => new Promise(done => {
        setTimeout(() => done('nothing was blocked'), 5000)
        document.addEventListener('securitypolicyviolation', event => done(event.violatedDirective))
        const script = document.createElement('style'); script.textContent = 'b{}'; document.head.append(script)
    })""")
    assert blocked.startswith("style-src")
    page.violations.clear()


def test_everything_is_reached_with_the_keyboard(visit):
    page = visit("/admin")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page.get_by_role("heading", name="Requests")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("j?gt")
    expect(page.get_by_label("Search")).to_have_value("j?gt")
    page.get_by_label("Search").fill("")
    page.keyboard.press("Tab")
    page.locator("h1").click()
    page.keyboard.press("j")
    expect(page.locator("#rows a").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_hidden()
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_pages_work_without_javascript(visit, gateway, provider):
    provider.script({"completion": "Yes"})
    page = visit(java_script_enabled=False)
    key = new_tenant(page, "no-script")
    assert gateway.call(key=key) == 200
    page.goto("/admin/requests")
    page.get_by_label("Tenant").select_option(label="no-script")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.goto("/admin/playground")
    expect(page.get_by_text("The playground needs JavaScript.")).to_be_visible()
    page.goto("/admin/tenants")
    page.get_by_role("link", name="no-script").click()
    page.get_by_text("Disable", exact=True).click()
    page.get_by_role("button", name="Disable no-script").click()
    expect(page.get_by_text("disabled").first).to_be_visible()
    assert gateway.call(key=key) == 401
