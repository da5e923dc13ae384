"""Messages to web addresses and commands: they arrive, they show no secret, and nobody waits for them."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.sweeping import until
from tests.support.web_servers import silent_server, webhook
from tune_jobs.errors import SettingsError
from tune_jobs.live import notifications, notifier
from tune_jobs.live.notifications import Notifications, Target
from tune_jobs.live.notifier import Channel, UndeliveredError

SECRET = "s3cr3t-1f5d"
LOST = {"event": "failure", "text": "lost"}


def writing_to(file: Path) -> str:
    """A command that appends what it reads to a file."""
    code = f"import sys; open({str(file)!r}, 'a').write(sys.stdin.read() + '\\n')"
    return shlex.join([sys.executable, "-S", "-c", code])


def test_an_address_gets_each_message_as_json_and_the_login_of_its_url_as_a_header() -> None:
    with webhook() as hook:
        address = hook.url.replace("http://", f"http://ada:{SECRET}@") + "?key=1"
        notifier.post(address, json.dumps({"event": "begin"}).encode())
    assert hook.events == ["begin"]
    assert hook.paths == ["/hook?key=1"]
    (headers,) = hook.headers
    assert headers["Authorization"] == "Basic YWRhOnMzY3IzdC0xZjVk"
    assert headers["Content-Type"] == "application/json"
    assert SECRET not in headers["Host"]


@pytest.mark.parametrize(
    ("code", "again"), [(302, False), (400, False), (404, False), (429, True), (500, True), (503, True)]
)
def test_an_answer_that_is_an_error_is_one_and_a_redirect_is_not_followed(code: int, again: bool) -> None:
    with webhook(code) as hook, pytest.raises(UndeliveredError, match=f"^it answered {code}$") as caught:
        notifier.post(hook.url, b'{"event": "begin"}')
    assert caught.value.again == again
    assert hook.events == ["begin"]


def test_what_goes_wrong_with_an_address_is_said_without_the_address() -> None:
    with silent_server() as address, pytest.raises(UndeliveredError, match=r"^no answer in 0\.05 s$"):
        notifier.post(address, b"{}", answer_s=0.05)
    with pytest.raises(UndeliveredError, match=r"^Connection refused$"):
        notifier.post(f"http://127.0.0.1:1/{SECRET}", b"{}")
    with pytest.raises(UndeliveredError) as caught:
        notifier.post(f"http://127.0.0.1:1/{SECRET}\n", b"{}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["false"], "exit code 1"),
        (["sleep", "60"], "it did not end in 0.2 s"),
        (["/no/such/command"], "No such file or directory"),
    ],
)
def test_a_command_that_fails_or_does_not_end_is_told(words: list[str], why: str) -> None:
    with pytest.raises(UndeliveredError, match=f"^{why}$"):
        notifier.call(words, b"{}", limit_s=0.2)


def test_a_command_gets_the_message_as_its_input_and_no_shell_reads_its_words(tmp_path: Path) -> None:
    file = tmp_path / "$HOME; touch x"
    (target,) = notifications.read([writing_to(file)])
    assert isinstance(target.what, tuple)
    notifier.call(target.what, b'{"text": "$(id) `id`"}')
    assert file.read_text() == '{"text": "$(id) `id`"}\n'


def test_a_best_that_waits_gives_way_to_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    is_free, sent = threading.Event(), list[str]()

    def post(address: str, body: bytes) -> None:
        assert is_free.wait(30)
        sent.append(json.loads(body)["text"])

    monkeypatch.setattr(notifier, "post", post)
    monkeypatch.setattr(Channel, "_report", lambda self, problem: None)
    channel = Channel(0, "http://nowhere", "nowhere")
    channel.add({"event": "begin", "text": "begin"})
    until(lambda: not channel._waiting, "the first message to be on its way")
    for number in range(1000):
        channel.add({"event": "best", "text": f"best {number}"})
    channel.add({"event": "end", "text": "end"})
    assert len(channel._waiting) == 2
    is_free.set()
    channel.close(time.monotonic() + 30)
    assert sent == ["begin", "best 999", "end"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"ftp://ada:{SECRET}@host/",
        f"https:///{SECRET}",
        f"https://host:{SECRET}/",
        f"http://host/{SECRET} and more",
        f"http://[{SECRET}/",
        f"no-such-command --token {SECRET}",
        f"mail 'ada {SECRET}",
        "@/no/such/file",
    ],
)
def test_what_cannot_be_told_is_refused_in_a_line_that_shows_no_secret(text: str) -> None:
    with pytest.raises(SettingsError, match="--notify") as caught:
        notifications.read([text])
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_has_a_target_in_each_line_and_none_is_nobody(tmp_path: Path) -> None:
    file = tmp_path / "targets"
    file.write_text(f"https://hooks.example.com/{SECRET}\n\n  true\n")
    first, second = notifications.read([f"@{file}"])
    assert first == Target(f"https://hooks.example.com/{SECRET}", "https://hooks.example.com")
    assert second.name == "true"
    file.write_text("none\n")
    assert notifications.read([f"@{file}"]) == notifications.read(["none"]) == notifications.read([]) == ()


def test_all_targets_hear_all_messages_in_order_and_no_log_is_needed(tmp_path: Path) -> None:
    file, log = tmp_path / "heard", tmp_path / "log"
    with webhook() as hook:
        told = Notifications(notifications.read([hook.url, writing_to(file)]), LOST, log)
        for event in ("begin", "best", "end"):
            told.send({"event": event})
            until(lambda: file.exists() and f'"{event}"' in file.read_text(), event)  # noqa: B023
        told.close()
        until(lambda: told._process.poll() is not None, "the process to end")
    assert hook.events == ["begin", "best", "end"]
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["begin", "best", "end"]
    assert told.problems is None
    assert log.read_text() == ""
    assert not log.stat().st_mode & 0o077


def test_what_did_not_arrive_is_told_in_one_line_and_logged_without_secrets(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with webhook(404) as hook, silent_server() as silent:
        named = [hook.url.replace("/hook", f"/{SECRET}"), f"{silent}/{SECRET}", f"false {SECRET}"]
        told = Notifications(notifications.read(named), LOST, log)
        told.send({"event": "begin"})
        until(lambda: {"404", "code", "yet;"} <= set(re.findall(r"404|code|yet;", told.problems or "")), "all three")
        told._process.kill()
        told.close()
    assert told.problems is not None
    assert "(it answered 404; 0 of 1 taken)" in told.problems
    assert "false (exit code 1; 0 of 1 taken)" in told.problems
    assert "no answer yet; 0 of 0 taken" in told.problems
    assert "begin was not delivered: it answered 404" in log.read_text()
    assert SECRET not in told.problems + log.read_text()
    assert "\n" not in told.problems


def test_if_the_launch_is_killed_the_last_message_says_so(tmp_path: Path) -> None:
    with webhook() as hook:
        told = Notifications(notifications.read([hook.url]), LOST, tmp_path / "log")
        told.send({"event": "begin"})
        until(lambda: hook.events == ["begin"], "the first message")
        told.close()  # as the end of this process would
        until(lambda: told._process.poll() is not None, "the process to end")
    assert hook.bodies[-1] == LOST


def test_a_process_that_reads_nothing_holds_nobody_up(tmp_path: Path) -> None:
    told = Notifications([Target("http://127.0.0.1:1", "x")], LOST, tmp_path / "log")
    os.kill(told._process.pid, signal.SIGSTOP)
    started = time.monotonic()
    for _ in range(100):
        told.send({"event": "best", "text": "x" * 2000})
    assert time.monotonic() - started < 5
    assert told._input is None
    until(lambda: told._process.poll() is not None, "the process to end")
