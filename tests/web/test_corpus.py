"""tests/corrupt/ in the page: every file gets there the code that CPython gives it."""

from __future__ import annotations

from base64 import b64encode

import pytest
from playwright.sync_api import Browser

from tests.format.corpus import FOLDER, SUFFIX
from tests.web.desk import Desk
from tinypylm.errors import FormatError
from tinypylm.format import HEADER_BYTES, parse, parse_header

pytestmark = pytest.mark.browser

FILES = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob(f"*{SUFFIX}"))}
ENCODED = {name: b64encode(data).decode() for name, data in FILES.items()}

ASK_WORKER = """async (files) => {
  const { Client } = await import(`${location.origin}/client.js`);
  const client = new Client({ onBoot() {}, onDeath() {} });
  const { parseManifest } = await import(`${location.origin}/runtime-manifest.js`);
  const manifest = await (await fetch("/vendor/manifest.json")).arrayBuffer();
  await client.boot(new URL("/vendor/", location.href), await parseManifest(manifest));
  const ask = (method, bytes) => client.request(method, {}, bytes.buffer).then(() => "accepted", (error) => error.code);
  const codes = {};
  for (const [name, text] of Object.entries(files)) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    codes[name] = [await ask("inspect", bytes.slice(0, 108)), await ask("load", bytes)];
  }
  return codes;
}"""

OPEN_LOCALLY = """async (files) => {
  const input = document.querySelector("#model-file"), { dataset } = document.querySelector("#status");
  const codes = {};
  for (const [name, text] of Object.entries(files)) {
    const chosen = new DataTransfer();
    chosen.items.add(new File([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))], `${name}.slm`));
    input.files = chosen.files;
    input.dispatchEvent(new Event("change"));
    while (dataset.code === "" && dataset.state !== "model-ready") await new Promise((again) => setTimeout(again));
    codes[name] = dataset.code;
  }
  return codes;
}"""


def header_code(data: bytes) -> str:
    try:
        parse_header(data[:HEADER_BYTES])
    except FormatError as error:
        return str(error.code)
    return "accepted"


def file_code(data: bytes) -> str:
    with pytest.raises(FormatError) as refused:
        parse(data)
    return str(refused.value.code)


def test_the_worker_gives_every_header_and_every_file_the_code_that_cpython_gives(browser: Browser, server: str):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{server}icon.svg")
        in_page = page.evaluate(ASK_WORKER, ENCODED)
    assert in_page == {name: [header_code(data), file_code(data)] for name, data in FILES.items()}


def test_every_file_opened_as_a_local_model_is_refused_with_its_code(desk: Desk):
    in_page = desk.page.evaluate(OPEN_LOCALLY, ENCODED)
    assert in_page == {name: file_code(data) for name, data in FILES.items()}
