"""The static contract holds for the page, and each of its rules finds what it is there to find."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import contract, smoke
from tests.contract import RULES, Site

TESTING = (Path(__file__).resolve().parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def copied(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    shutil.copytree(repo_root / "web", root / "web", ignore=lambda _, names: ["vendor"] if "vendor" in names else [])
    (root / "runtime" / "tinypylm").mkdir(parents=True)
    shutil.copy(repo_root / "runtime" / "tinypylm" / "app.py", root / "runtime" / "tinypylm")
    return root


def findings(site: Site) -> dict[str, list[str]]:
    return {rule.__name__: found for rule in RULES if (found := list(rule(site)))}


def test_the_page_keeps_the_contract(repo_root: Path, capsys: pytest.CaptureFixture[str]):
    assert findings(Site(repo_root)) == {}
    assert contract.check(repo_root) == 0
    assert capsys.readouterr().out.count(" ok\n") == len(RULES)


@pytest.mark.parametrize(
    ("file", "old", "new", "rule", "finding"),
    [
        ("index.html", 'id="top-k"', 'id="topk"', "required_elements", "0 elements with the id top-k"),
        ("index.html", 'id="clear"', 'id="reset"', "required_elements", "2 elements with the id reset"),
        ("index.html", 'data-state="booting"', 'data-state="ready"', "required_elements", "data-state='ready'"),
        ("style.css", ":root", "@import 'https://fonts.example/a.css';\n:root", "no_foreign_origin", "fonts.example"),
        ("index.html", 'href="icon.svg"', 'href="//cdn.example/i.svg"', "no_foreign_origin", "//cdn.example/i.svg"),
        ("main.js", "const store", 'fetch("http://api.example");\nconst store', "no_foreign_origin", "api.example"),
        ("index.html", 'href="icon.svg"', 'href="gone.svg"', "local_assets", "'gone.svg'"),
        ("main.js", '"./at-rest.js"', '"./gone.js"', "local_assets", "'./gone.js'"),
        ("main.js", '"./at-rest.js"', '"../serve.js"', "local_assets", "'../serve.js'"),
        ("index.html", "<body>", '<body onload="run()">', "no_inline_code", "<body> has the attribute onload"),
        ("index.html", "<body>", "<body><script>run()</script>", "no_inline_code", "<script> with text"),
        ("index.html", "<main>", '<main style="color: red">', "no_inline_code", "<main> has the attribute style"),
        ("main.js", "const store", "document.body.innerHTML = '';\nconst store", "no_sinks_of_markup", "innerHTML"),
        ("main.js", "const store", 'setTimeout("run()");\nconst store', "no_sinks_of_markup", "setTimeout"),
        ("trusted-script.js", '"tinypylm", {', '"another", {', "policy", "the page creates ['another']"),
        ("worker.js", "free: passOn, ", "", "messages", "request free: sent, but not among what the worker handles"),
        ("worker.js", "keep: ()", "drop: ()", "messages", "request drop: the worker handles it, but nothing sends it"),
        ("worker.js", '({ event: "accepted"', '({ event: "heard"', "messages", "event heard: sent, but not among"),
        ("client.js", "boot: ({ event", "begin: ({ event", "messages", "event begin: client.js handles it, but"),
    ],
)
def test_a_page_that_breaks_a_rule_is_found(copied: Path, file: str, old: str, new: str, rule: str, finding: str):
    path = copied / "web" / file
    sound = path.read_text("utf-8")
    assert old in sound
    path.write_text(sound.replace(old, new, 1), "utf-8")
    found = findings(Site(copied))
    path.write_text(sound, "utf-8")
    assert any(finding in text for text in found[rule]), found


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (b"script-src 'self'", b"script-src 'self' 'unsafe-inline'", "the policy has script-src"),
        (b"img-src 'self'", b"img-src *", "the policy allows img-src *"),
        (b"font-src 'self'", b"font-src https://fonts.example", "the policy allows font-src https://fonts.example"),
        (b"; require-trusted-types-for 'script'", b"", "the policy has require-trusted-types-for None"),
        (b"trusted-types tinypylm", b"trusted-types tinypylm other", "allows ['other', 'tinypylm']"),
        (b"Content-Security-Policy", b"X-Policy", "no Content-Security-Policy"),
    ],
)
def test_a_policy_that_allows_more_is_found(copied: Path, old: bytes, new: bytes, finding: str):
    sound = Site(copied).reply
    assert old in sound
    found = findings(Site(copied, sound.replace(old, new, 1)))
    assert any(finding in text for text in found["policy"]), found


def test_every_rule_and_every_mode_is_documented():
    for rule in RULES:
        assert f"| {rule.__name__.replace('_', ' ')} |" in TESTING
    for mode in smoke.modes():
        assert f"| `{mode}` |" in TESTING
    assert TESTING.count("\n| `") == len(smoke.modes())


def test_every_mode_says_what_it_proves_and_is_one_test_for_all_engines(repo_root: Path):
    for mode, proof in smoke.modes().items():
        text = (repo_root / "tests" / "smoke" / f"test_{mode.replace('-', '_')}.py").read_text("utf-8")
        assert proof.splitlines()[0].endswith(".")
        assert text.count("\ndef test_") == 1
        assert "pytestmark = [pytest.mark.browser, pytest.mark.engines" in text
        assert f"\ndef test_{mode.replace('-', '_')}(" in text


def test_a_mode_that_does_not_exist_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        smoke.parse(["no-such-mode"])
    assert ended.value.code == 2
    assert "'step-token'" in capsys.readouterr().err


def test_a_mode_becomes_the_file_that_pytest_runs():
    path, *options = smoke.parse(["step-token", "--headed"])
    assert Path(path).name == "test_step_token.py"
    assert "--headed" in options
