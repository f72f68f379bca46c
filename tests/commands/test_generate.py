"""`tinypylm generate`: what it prints, and how it ends."""

import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.session.scripted_model import ANSWER, BOS, CHAT, EOS, scripted_model
from tinypylm.format import parse
from tinypylm_tools.cli import main
from tinypylm_tools.slm_writer import Payload, seal
from tinypylm_tools.terminal import without_controls

COMMAND = [sys.executable, "-c", "from tinypylm_tools.cli import main; main()", "generate"]
posix_only = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and terminals")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "story.slm"
    path.write_bytes(scripted_model(b"abcdefgh"))
    return path


def generate(model, *arguments):
    return CliRunner().invoke(main, ["generate", str(model), *arguments])


def test_the_text_and_one_line_feed_are_printed(model):
    result = generate(model, "--prompt", "a")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "bcdefgh\n", "")


def test_json_holds_what_is_needed_to_run_it_again(model):
    result = generate(model, "--prompt", "xa", "--seed", str(2**64 - 1), "--max-tokens", "99", "--stop", "zz", "--json")
    story = json.loads(result.stdout)
    assert story["prompt_ids"] == [BOS, *b"xa"]
    assert story["ids"] == [*b"bcdefgh", EOS]
    assert (story["text"], story["finish_reason"]) == ("bcdefgh", "stop")
    assert story["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert story["seed"] == story["options"]["seed"] == 2**64 - 1
    assert story["options"]["stop_strings"] == ["zz"]
    assert set(story["timings"]) == {
        "load_ms", "prompt_tokens_per_second", "decode_tokens_per_second", "time_to_first_token_ms"}
    assert all(value > 0 for value in story["timings"].values())


def test_a_message_is_answered_by_a_model_that_was_made_for_it(model):
    model.write_bytes(scripted_model(ANSWER, chat=CHAT))
    result = generate(model, "--prompt", "hi", "--chat", "--temperature", "0", "--json")
    story = json.loads(result.stdout)
    assert bytes(story["prompt_ids"][1:]) == b"\nU:hi\nA>"
    assert (story["text"], story["finish_reason"]) == ("helo", "stop")


def test_the_space_before_an_answer_is_no_part_of_it(model):
    spaced = {"user_prefix": "U: ", "assistant_prefix": "A> "}
    model.write_bytes(scripted_model(b"> heloU:xyz", chat=spaced))
    answer = ["--prompt", "hi", "--chat", "--temperature", "0"]
    assert generate(model, *answer).stdout == "helo\n"
    assert json.loads(generate(model, *answer, "--json").stdout)["text"] == "helo"


def test_a_message_to_another_model_is_refused(model):
    result = generate(model, "--prompt", "hi", "--chat")
    assert result.exit_code == 1
    assert "was not made for chat" in result.output


def test_json_and_stream_give_the_same_text(model):
    options = ["--prompt", "a", "--temperature", "30", "--seed", "4", "--max-tokens", "30", "--top-k", "90"]
    streamed = generate(model, *options)
    assert json.loads(generate(model, *options, "--json").stdout)["text"].rstrip("\n") == streamed.stdout.rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "text", "reason"),
    [(["--max-tokens", "2"], "bc", "length"), (["--stop", "ef", "--stop", "h"], "bcd", "stop")],
)
def test_options_reach_the_session(model, arguments, text, reason):
    story = json.loads(generate(model, "--prompt", "a", "--json", *arguments).stdout)
    assert (story["text"], story["finish_reason"]) == (text, reason)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--prompt", ""], "EmptyPrompt"),
        (["--prompt", "x" * 65], "ContextExceeded"),
        (["--prompt", "a", "--top-k", "1025"], "OptionOutOfRange"),
        (["--prompt", "a", "--temperature", "nan"], "OptionOutOfRange"),
        (["--prompt", "a", "--seed", "-1"], "OptionOutOfRange"),
        (["--prompt", "a", "--stop", ""], "OptionOutOfRange"),
    ],
)
def test_what_cannot_be_done_is_an_error_with_its_code(model, arguments, code):
    result = generate(model, *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.endswith(f"[{code}]\n")


def test_a_missing_or_broken_file_is_an_error_with_its_code(tmp_path, model):
    assert "[MissingFile]" in generate(tmp_path / "none.slm", "--prompt", "a").stderr
    model.write_bytes(model.read_bytes()[:-1])
    result = generate(model, "--prompt", "a")
    assert result.exit_code == 1
    assert "[FileSizeMismatch]" in result.stderr


@posix_only
def test_ctrl_c_ends_the_text_cleanly(tmp_path):
    path = tmp_path / "endless.slm"
    path.write_bytes(scripted_model(b"abcdefgh", ends=False, context_length=60_000))
    arguments = [str(path), "--prompt", "a", "--max-tokens", "60000"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        begun = process.stdout.read(8)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == ""
    assert set(begun + rest) == set("abcdefgh\n")
    assert rest.endswith("\n")
    assert len(rest) < 59_000


@posix_only
def test_on_a_terminal_control_characters_are_shown_not_obeyed(tmp_path):
    import pty

    path = tmp_path / "escape.slm"
    path.write_bytes(scripted_model(b"a\x1b[3mb"))
    ours, theirs = pty.openpty()
    subprocess.run([*COMMAND, str(path), "--prompt", "a"], stdout=theirs, stderr=theirs, check=True, timeout=20)
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert shown.startswith("\ufffd[3mb\r\n[6 tokens, ")
    assert shown.endswith("tokens/s; ended by stop]\r\n")


@posix_only
@pytest.mark.parametrize("arguments", [
    ["inspect", "{model}"], ["inspect", "{model}", "--json"],
    ["generate", "{model}", "--prompt", "a", "--chat"],
    ["stories", "{model}", "--beginnings", "{beginnings}", "--show", "0"],
])
def test_what_a_file_says_of_itself_or_a_story_says_is_not_obeyed_either(tmp_path, arguments):
    import pty

    places = {"model": tmp_path / "escape.slm", "beginnings": tmp_path / "beginnings.txt"}
    places["model"].write_bytes(named(scripted_model(b"y\x1b."), "Clears\x1b[2Jthe\x9bscreen\u202e"))
    places["beginnings"].write_text("Lily: Lily\n")
    ours, theirs = pty.openpty()
    command = [*COMMAND[:-1], *(argument.format_map(places) for argument in arguments)]
    subprocess.run(command, stdout=theirs, stderr=theirs, check=False, timeout=20)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "\ufffd" in shown
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)


def named(data, name):
    """The model with this name in its metadata."""
    model = parse(data)
    payloads = {(t.role, t.layer): Payload(t.dtype, data[t.offset : t.offset + t.payload_bytes]) for t in model.tensors}
    return seal(model.config, payloads, model.tokenizer, {"name": name})


def test_line_feeds_tabs_and_every_script_pass_to_the_terminal():
    assert without_controls("a\tb\né 日本 😀 \u200d") == "a\tb\né 日本 😀 \u200d"
    assert without_controls("\x00\r\x1b\x7f\x9b\u202e\u2066") == "\ufffd" * 7


def test_help_shows_an_example():
    help_text = CliRunner().invoke(main, ["generate", "-h"]).stdout
    assert 'tinypylm generate story.slm --prompt "Once upon a time"' in help_text
