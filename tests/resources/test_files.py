"""Files that are replaced whole, or not at all."""

from pathlib import Path

import pytest

from openclaw_pipelines.resources.files import replace_file, replacing


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    for text in ("first", "second"):
        assert replace_file(path, text).read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = replace_file(tmp_path / "page.html", "whole")

    def fail() -> None:
        with replacing(path) as draft:
            draft.write_text("half of it")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (path.read_text(), list(tmp_path.iterdir())) == ("whole", [path])
