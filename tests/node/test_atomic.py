"""Files of a volume change all at once."""

from datetime import UTC, datetime

from webhook.node.atomic import Content, write_atomically


def test_files_are_links_through_a_folder_that_is_swapped(tmp_path):
    """The scheme that watchers of `..data` rely on."""
    write_atomically(
        tmp_path, {"a": Content(b"1"), "deep/b": Content(b"2", 0o600)}, now=datetime(2026, 1, 2, tzinfo=UTC)
    )

    assert "..data/a" == str((tmp_path / "a").readlink())
    assert "..data/deep" == str((tmp_path / "deep").readlink())
    assert "..2026_01_02_00_00_00.000000" == str((tmp_path / "..data").readlink())
    assert (b"2", 0o600) == ((tmp_path / "deep" / "b").read_bytes(), (tmp_path / "deep" / "b").stat().st_mode & 0o777)


def test_the_same_content_changes_nothing(tmp_path):
    """A watcher is not woken for nothing."""
    files = {"a": Content(b"1")}
    assert write_atomically(tmp_path, files)
    before = (tmp_path / "..data").readlink()

    assert not write_atomically(tmp_path, files)
    assert before == (tmp_path / "..data").readlink()


def test_a_change_takes_away_what_is_gone(tmp_path):
    """Old links and the old folder go; a change of mode is a change."""
    write_atomically(tmp_path, {"a": Content(b"1"), "b": Content(b"2")})
    assert write_atomically(tmp_path, {"b": Content(b"2", 0o400), "c": Content(b"3")})

    assert ["..data", "b", "c"] == sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..2"))
    assert 1 == len(list(tmp_path.glob("..2*")))
