"""What of a task's folder travels with it: all but what is hidden, made by programs, secret, listed or too large."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tune_jobs.search_spaces import TaskError, beside
from tune_jobs.search_spaces.ignoring import Rules, parsed
from tune_jobs.search_spaces.task_files import TaskFiles

Project = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Writes files below a folder, each with some bytes; the path of `task.py` there, or of another."""

    def write(*names: str, size: int = 1, task: str = "task.py", text: str = "") -> Path:
        for name in (*names, task):
            (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "project" / name).write_bytes(b"x" * size)
        (tmp_path / "project" / task).write_text(text, encoding="utf-8")
        return tmp_path / "project" / task

    return write


def taken(file: Path, *also: Path) -> set[str]:
    files = TaskFiles.gather(file, also)
    return set(files.contents) - {files.name}


def test_what_lies_beside_goes_along(project: Project) -> None:
    file = project("widths.txt", "data/a.csv", "data/deep/b.npz", "nets/small.py", "README", "space name.txt")
    assert taken(file) == {"widths.txt", "data/a.csv", "data/deep/b.npz", "nets/small.py", "README", "space name.txt"}


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".gitignore",
        ".venv/lib/x.py",
        ".ipynb_checkpoints/x.ipynb",
        "__pycache__/task.cpython-311.pyc",
        "nets/__pycache__/x.pyc",
        "env/pyvenv.cfg",
        "node_modules/x.js",
        "mlruns/0/meta.yaml",
        "mlflow.db",
        "own.egg-info/PKG-INFO",
    ],
)
def test_what_is_hidden_or_made_by_programs_stays(project: Project, name: str) -> None:
    files = TaskFiles.gather(project(name, "widths.txt"))
    assert set(files.contents) == {"task.py", "widths.txt"}
    assert "left out" not in (files.words() or "")


@pytest.mark.parametrize(
    "name",
    [
        "server.pem",
        "tls/server.KEY",
        "id_rsa",
        "id_ed25519.pub",
        "prod.env",
        "credentials",
        "aws_credentials.csv",
        "credentials.json",
        "client_secret_1.json",
        "kaggle.json",
        "netrc",
    ],
)
def test_what_may_be_secret_stays_and_is_said(project: Project, name: str) -> None:
    files = TaskFiles.gather(project(name, "widths.txt"))
    assert set(files.contents) == {"task.py", "widths.txt"}
    assert f"left out as perhaps secret: {Path(name).parts[0]}" in (files.words() or "")
    assert not files.beside.linked


@pytest.mark.parametrize("name", [".env", ".netrc", ".ssh/id_rsa", ".aws/credentials"])
def test_hidden_secrets_stay(project: Project, name: str) -> None:
    assert taken(project(name)) == set()


def test_a_link_to_a_secret_of_another_name_is_one(project: Project, tmp_path: Path) -> None:
    file = project("widths.txt")
    (tmp_path / "id_rsa").write_text("key")
    (file.parent / "harmless.txt").symlink_to(tmp_path / "id_rsa")
    assert taken(file) == {"widths.txt"}


def test_a_module_that_is_imported_goes_along_whatever_it_is_called(project: Project) -> None:
    file = project(text="import credentials")
    (file.parent / "credentials.py").write_text("A = 1")
    assert taken(file) == {"credentials.py"}


def test_a_home_of_studies_in_the_folder_stays(project: Project) -> None:
    file = project("home/studies/own.journal", "home/mlartifacts/x", "home/exports/own/best.yaml")
    assert taken(file) == set()


def test_links_are_followed_but_not_in_a_circle_and_what_is_no_file_is_passed_over(
    project: Project, tmp_path: Path
) -> None:
    file = project("nets/a.txt")
    folder = file.parent
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.csv").write_text("1")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "b.csv").symlink_to(tmp_path / "elsewhere" / "b.csv")
    (folder / "nets" / "circle").symlink_to(folder)
    (folder / "itself").symlink_to("itself")
    (folder / "nowhere").symlink_to("gone")
    os.mkfifo(folder / "pipe")  # reading it would never end
    found = taken(file)
    assert {"nets/a.txt", "linked/b.csv", "b.csv"} <= found
    assert not {"itself", "nowhere", "pipe"} & found
    assert len(found) < 10


def test_a_task_file_that_is_a_link_brings_what_lies_beside_the_file(project: Project, tmp_path: Path) -> None:
    file = project("widths.txt")
    (tmp_path / "link.py").symlink_to(file)
    assert taken(tmp_path / "link.py") == {"widths.txt"}


def test_the_users_list_leaves_out_and_takes_back(project: Project) -> None:
    file = project("big/a.bin", "nets/big/b.bin", "notes/x.md", "notes/y.md", "key.pem", ".hidden/settings")
    (file.parent / ".tunejobsignore").write_text("# what stays\nbig/\n/notes/*\n!notes/y.md\n!*.pem\n!.hidden\n")
    files = TaskFiles.gather(file)
    assert set(files.contents) - {"task.py"} == {"notes/y.md", "key.pem", ".hidden/settings"}
    assert [path.name for path in files.beside.linked] == ["big", "big", "x.md"]


@pytest.mark.parametrize(
    ("line", "fits", "others"),
    [
        ("data", ["data", "data/", "a/data", "a/data/"], ["data2", "mydata", "data/x"]),
        ("data/", ["data/", "a/b/data/"], ["data"]),
        ("/data", ["data", "data/"], ["a/data"]),
        ("a/b", ["a/b", "a/b/"], ["x/a/b"]),
        ("*.csv", ["x.csv", "a/x.csv"], ["x.csv2", "xcsv"]),
        ("**/x", ["x", "a/x", "a/b/x"], ["ax"]),
        ("a/**", ["a/x", "a/b/x", "a/b/"], ["b/x"]),
        ("a/**/x", ["a/x", "a/b/c/x"], ["x"]),
        ("x?.t[xy]t", ["x1.txt", "ab/x2.tyt"], ["x.txt", "x1.tzt"]),
        ("[!a].txt", ["b.txt"], ["a.txt"]),
        ("a+(b).txt", ["a+(b).txt"], ["aab.txt"]),
    ],
)
def test_a_line_of_the_list_fits_as_in_a_gitignore(line: str, fits: list[str], others: list[str]) -> None:
    rules = Rules(tuple(parsed(line)))
    listed = [it for it in fits + others if rules.is_listed(it.rstrip("/"), is_folder=it.endswith("/"))]
    assert listed == fits


@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff", "cannot be read: "), (b"a\n[z-a]\n", "has a line that is no pattern: bad char")]
)
def test_a_list_that_cannot_be_read_is_refused(project: Project, content: bytes, message: str) -> None:
    file = project()
    (file.parent / ".tunejobsignore").write_bytes(content)
    with pytest.raises(TaskError, match=rf"\.tunejobsignore {message}"):
        Rules.of(file.parent)


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MAX_FILES", 5)
    monkeypatch.setattr(beside, "MAX_BYTES", 1000)


@pytest.mark.usefixtures("small_bounds")
def test_what_is_too_large_is_left_out_and_named_and_the_rest_goes_along(project: Project) -> None:
    file = project("widths.txt", "nets/a.txt")
    project("images.npz", size=2000)
    project(*(f"crowd/{n}.jpg" for n in range(9)))
    files = TaskFiles.gather(file)
    assert set(files.contents) == {"task.py", "widths.txt", "nets/a.txt"}
    words = files.words() or ""
    assert words.startswith(
        "task.py takes along nets/, widths.txt (2 files, 0.0 MB); left out as too large to travel: "
    )
    assert "crowd/, images.npz" in words
    assert ".tunejobsignore lists what to leave out, --with PATH takes a path along" in words
    assert "\n" not in words
    assert [path.name for path in files.beside.linked] == ["crowd", "images.npz"]


@pytest.mark.usefixtures("small_bounds")
def test_of_a_folder_with_code_that_is_too_large_the_code_goes_along(project: Project) -> None:
    file = project(*(f"nets/data/{n}.jpg" for n in range(9)), "nets/a.txt", text="import nets.small")
    (file.parent / "nets" / "small.py").write_text("A = 1")
    files = TaskFiles.gather(file)
    assert set(files.contents) == {"task.py", "nets/small.py", "nets/a.txt"}
    assert files.beside.too_large == (file.parent / "nets" / "data",)


@pytest.mark.usefixtures("small_bounds")
def test_a_crowd_of_files_beside_a_task_stays(project: Project) -> None:
    assert taken(project(*(f"{n}.jpg" for n in range(9)), "nets/a.txt")) == {"nets/a.txt"}


@pytest.mark.usefixtures("small_bounds")
def test_a_task_file_alone_is_never_too_large(project: Project) -> None:
    assert taken(project("a.txt", text="#" * 900)) == {"a.txt"}
    assert taken(project("a.txt", text="#" * 1000)) == set()


@pytest.mark.usefixtures("small_bounds")
def test_too_much_that_is_named_is_refused_in_one_line(project: Project) -> None:
    file = project("images.npz", size=2000)
    with pytest.raises(TaskError, match=r"^--with names more than can travel with a task \(5 files of 0.001 MB") as no:
        TaskFiles.gather(file, (file.parent / "images.npz",))
    assert "\n" not in str(no.value)


def test_of_a_folder_of_everything_only_what_is_imported_is_taken(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project("widths.txt", "common.py", text="import common")
    monkeypatch.setenv("HOME", str(file.parent))
    (file.parent / "common.py").write_text("A = 1")
    files = TaskFiles.gather(file)
    assert set(files.contents) == {"task.py", "common.py"}
    assert "only what task.py imports goes from" in (files.words() or "")
    assert files.beside.linked == (file.parent / "widths.txt",)


def test_nothing_is_said_of_a_file_that_goes_alone(project: Project) -> None:
    assert TaskFiles.gather(project()).words() is None


# --- what is named --------------------------------------------------------------------------------------------------


def test_what_is_named_goes_along_from_anywhere_and_keeps_its_place(project: Project, tmp_path: Path) -> None:
    file = project("key.pem", ".env", text="import lib.tools, common")
    for name in ("shared/lib/tools.py", "shared/lib/words.txt", "shared/lib/.git/x", "more/common.py", "one.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    also = [tmp_path / "shared" / "lib", tmp_path / "more", tmp_path / "one.csv", file.parent / ".env"]
    files = TaskFiles.gather(file, also)
    assert set(files.contents) == {
        "project/task.py",
        "project/.env",
        "shared/lib/tools.py",
        "shared/lib/words.txt",
        "more/common.py",
        "one.csv",
    }
    assert files.modules == {"lib.tools": "shared/lib/tools.py", "common": "more/common.py"}


def test_what_is_named_and_is_not_there_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"there is no file or folder .*/gone, which --with names"):
        TaskFiles.gather(project(), (tmp_path / "gone",))


# --- packages -------------------------------------------------------------------------------------------------------


def test_a_task_file_in_a_package_brings_the_package(project: Project) -> None:
    file = project(
        *("pkg/__init__.py", "pkg/nets.py", "pkg/data.csv", "pkg/tasks/__init__.py", "pkg/tasks/x.py", "other.txt"),
        task="pkg/tasks/own.py",
        text="from . import x\nfrom .. import nets",
    )
    for name in ("pkg/__init__.py", "pkg/nets.py", "pkg/tasks/__init__.py", "pkg/tasks/x.py"):
        (file.parents[2] / name).write_text("")
    files = TaskFiles.gather(file)
    assert (files.name, files.package, files.folder.name) == ("pkg/tasks/own.py", "pkg.tasks", "pkg")
    assert set(files.contents) == {
        *("pkg/__init__.py", "pkg/nets.py", "pkg/data.csv", "pkg/tasks/__init__.py", "pkg/tasks/x.py"),
        "pkg/tasks/own.py",
    }
    assert set(files.modules) == {"pkg", "pkg.nets", "pkg.tasks", "pkg.tasks.x"}
