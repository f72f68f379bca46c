"""What the page has to be before a browser sees it, read from its files alone: `python -m tests contract`.

Each rule takes the site and yields what breaks it. Standard library only. web/vendor is Pyodide's: held to digests by
serve.py, and to the policy by the browser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path

from tinypylm_tools.serving.reply import Reply

# Element ids that embedders and tests use, with the markers that they read there.
IDS = (
    "model-select", "prompt", "generate", "step", "stop", "clear", "reset", "free", "transcript", "status",
    "diagnostics", "temperature", "top-k", "top-p", "min-p", "repetition-penalty", "seed", "max-tokens", "stop-strings",
    "model-file", "restart", "reload", "progress", "fetches", "kept", "record-receipt", "save-receipt", "replay-file",
    "replay-verdict",
)
MARKERS: dict[str, dict[str, str]] = {
    "status": {"data-state": "booting", "data-code": "", "role": "status"},
    "transcript": {"role": "log"},
}

DIRECTIVES = {
    "default-src": "'none'", "script-src": "'self' 'wasm-unsafe-eval'", "worker-src": "'self'",
    "connect-src": "'self'", "style-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
    "frame-ancestors": "'none'", "require-trusted-types-for": "'script'",
}
NO_SOURCE = re.compile(r"'unsafe-(?:inline|eval|hashes)'|\*|https?:|//")

# The namespace is a name that nothing fetches; the other is advice in a message.
HARMLESS = ("http://www.w3.org/2000/svg", "http://127.0.0.1 or over https")
ADDRESS = re.compile(
    r"""\b(?:https?|wss?|ftp|javascript):[^\s"'`<>)]*|(?<=["'`(=])//[a-z0-9-]+[^\s"'`<>)]*""", re.IGNORECASE)
SINK = re.compile(
    r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|srcdoc|DOMParser|setHTMLUnsafe|parseHTMLUnsafe|"
    r"createContextualFragment|importScripts|document\.write(?:ln)?|eval|execScript)\b|\bnew Function\b|"
    r"\bset(?:Timeout|Interval)\(\s*[\"'`]"
)
IMPORT = re.compile(
    r"""^(?:import|export)\b[^"'`;]*?\bfrom "([^"]+)";$|^import "([^"]+)";$|\bimport\(\s*"([^"]+)"\s*\)""",
    re.MULTILINE,
)


class Page(HTMLParser):
    """The elements of an HTML file: (tag, attributes), in their order."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))


@dataclass
class Site:
    """The files of the page by their path in web/, the runtime's door, and the fields of a reply of serve.py."""

    root: Path
    reply: bytes = field(default_factory=lambda: Reply(HTTPStatus.OK, 0).head())

    @cached_property
    def files(self) -> dict[str, str]:
        web = self.root / "web"
        paths = [path for path in sorted(web.rglob("*")) if path.suffix in {".html", ".js", ".css", ".svg", ".json"}]
        named = {path.relative_to(web).as_posix(): path for path in paths}
        return {name: path.read_text("utf-8") for name, path in named.items() if not name.startswith("vendor/")}

    @cached_property
    def pages(self) -> dict[str, Page]:
        return {name: Page(text) for name, text in self.files.items() if name.endswith(".html")}

    @cached_property
    def code(self) -> dict[str, str]:
        """JavaScript without its comments, which may name what code must not."""
        sources = {name: text for name, text in self.files.items() if name.endswith(".js")}
        return {name: re.sub(r"/\*[\s\S]*?\*/|(?<!:)//.*", "", text) for name, text in sources.items()}

    @cached_property
    def door(self) -> str:
        return (self.root / "runtime" / "tinypylm" / "app.py").read_text("utf-8")

    @cached_property
    def policy(self) -> dict[str, str]:
        found = re.search(rb"^Content-Security-Policy: (.*)\r$", self.reply, re.MULTILINE)
        parts = found[1].decode("ascii").split(";") if found else []
        return {name: sources for name, _, sources in (part.strip().partition(" ") for part in parts)}


def required_elements(site: Site) -> Iterator[str]:
    elements = [attributes for _, attributes in site.pages["index.html"].elements]
    for name in IDS:
        found = [attributes for attributes in elements if attributes.get("id") == name]
        if len(found) != 1:
            yield f"index.html has {len(found)} elements with the id {name}, expected 1"
        for marker, value in MARKERS.get(name, {}).items():
            if found and found[0].get(marker) != value:
                yield f"index.html: #{name} has {marker}={found[0].get(marker)!r}, expected {value!r}"


def no_foreign_origin(site: Site) -> Iterator[str]:
    for name, text in site.files.items():
        rest = re.sub("|".join(map(re.escape, HARMLESS)), "", text)
        yield from (f"{name} names the foreign address {found[0]}" for found in ADDRESS.finditer(rest))


def local_assets(site: Site) -> Iterator[str]:
    for name, reference in references(site):
        path = (site.root / "web" / name).parent / (reference or "./")
        target = (path / "index.html" if reference.endswith("/") else path).resolve()
        if not target.is_relative_to((site.root / "web").resolve()) or not target.is_file():
            yield f"{name} refers to {reference!r}, which is no file of web/"


def references(site: Site) -> Iterator[tuple[str, str]]:
    """(file, what it loads or links to)."""
    for name, page in site.pages.items():
        for _, attributes in page.elements:
            yield from ((name, attributes[key]) for key in ("src", "href", "action", "data") if key in attributes)
    for name, text in site.files.items():
        if name.endswith(".js"):
            yield from ((name, one or two or three) for one, two, three in IMPORT.findall(text))
        if name.endswith(".css"):
            yield from ((name, found) for found in re.findall(r"""url\(\s*["']?([^"')]+)""", text))
            yield from ((name, found) for found in re.findall(r"""@import\s+["']([^"']+)""", text))


def no_inline_code(site: Site) -> Iterator[str]:
    for name, page in site.pages.items():
        for tag, attributes in page.elements:
            if tag == "style" or (tag == "script" and "src" not in attributes):
                yield f"{name} has a <{tag}> with text of its own"
            for attribute in attributes:
                if attribute == "style" or attribute.startswith("on"):
                    yield f"{name}: <{tag}> has the attribute {attribute}"


def no_sinks_of_markup(site: Site) -> Iterator[str]:
    for name, text in site.code.items():
        yield from (f"{name} uses {found[0]}" for found in SINK.finditer(text))


def policy(site: Site) -> Iterator[str]:
    if not site.policy:
        yield "replies of serve.py have no Content-Security-Policy"
        return
    for name, sources in DIRECTIVES.items():
        if site.policy.get(name) != sources:
            yield f"the policy has {name} {site.policy.get(name)!r}, expected {sources!r}"
    for name, sources in site.policy.items():
        if NO_SOURCE.search(sources):
            yield f"the policy allows {name} {sources}"
    created = {name for text in site.code.values() for name in re.findall(r"\bcreatePolicy\(\s*\"([\w-]+)\"", text)}
    allowed = set(site.policy.get("trusted-types", "").split())
    if created != allowed:
        yield f"trusted-types allows {sorted(allowed)}, the page creates {sorted(created)}"


def messages(site: Site) -> Iterator[str]:
    """Requests, events and calls of Python: each that one side sends is handled by the other, and nothing else is."""
    worker, client = site.code["worker.js"], site.code["client.js"]
    handled = set(re.findall(r"(\w+): (?:\(|passOn)", table(worker, "const METHODS")))
    page = "\n".join(text for name, text in site.code.items() if name != "worker.js")
    requested = set(re.findall(r"(?:\brequest|#\w+)\(\s*\"(\w+)\"", page))
    yield from differences("request", requested, "the worker handles", handled)
    posted = set(re.findall(r"\bevent: \"(\w+)\"", worker))
    listened = set(re.findall(r"^ {4}(\w+):", table(client, "#events"), re.MULTILINE))
    yield from differences("event", posted, "client.js handles", listened)
    asked = set(re.findall(r"\bask\(\"(\w+)\"", worker)) | set(re.findall(r"(\w+): passOn", worker))
    methods = re.search(r"self\._methods.*?\{(.*?)\}", site.door, re.DOTALL)
    answered = set(re.findall(r"\"(\w+)\":", methods[1])) if methods else set()
    yield from differences("call of Python", asked, "tinypylm.app handles", answered)


def table(text: str, name: str) -> str:
    """The inside of `NAME = Object.freeze({...});`, whose entries are indented."""
    found = re.search(rf"{re.escape(name)} = Object\.freeze\(\{{\n(.*?)^ *\}}\);", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def differences(kind: str, sent: set[str], handler: str, handled: set[str]) -> Iterator[str]:
    yield from (f"{kind} {name}: sent, but not among what {handler}" for name in sorted(sent - handled))
    yield from (f"{kind} {name}: {handler} it, but nothing sends it" for name in sorted(handled - sent))


RULES: tuple[Callable[[Site], Iterator[str]], ...] = (
    required_elements, no_foreign_origin, local_assets, no_inline_code, no_sinks_of_markup, policy, messages,
)


def check(root: Path) -> int:
    """Prints each rule and what breaks it; the exit status."""
    site = Site(root)
    broken = {rule.__name__.replace("_", " "): list(rule(site)) for rule in RULES}
    for name, findings in broken.items():
        print(f"{name:20} {'FAILED' if findings else 'ok'}")
        for finding in findings:
            print(f"    {finding}")
    return int(any(broken.values()))
