from pathlib import Path

from tagseg.data.same_content import first_of_each_file, same_content


def test_files_with_the_same_bytes_are_grouped_whatever_their_names(tmp_path):
    contents = [b"one", b"two", b"one", b"three", b"two", b"one", b"", b"six"]
    files = []
    for index, content in enumerate(contents):
        files.append(tmp_path / f"{index}.jpg")
        files[-1].write_bytes(content)
    assert same_content(files) == [[0, 2, 5], [1, 4]]
    assert same_content([]) == []


def test_a_large_file_that_differs_in_its_last_byte_is_another(tmp_path):
    for name, last in (("a", b"0"), ("b", b"1"), ("c", b"0")):
        (tmp_path / name).write_bytes(bytes(3 * 2**20) + last)
    assert same_content(tmp_path / name for name in "abc") == [[0, 2]]


def test_unreadable_files_have_no_equal(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(b"same")
    assert same_content([tmp_path / "absent", tmp_path / "a", tmp_path, tmp_path / "b", tmp_path / "absent"]) == [
        [1, 3]
    ]


def test_a_file_with_several_names_is_read_once(tmp_path, monkeypatch):
    for name, content in (("a", b"same"), ("b", b"same"), ("c", b"some")):
        (tmp_path / name).write_bytes(content)
    names = [tmp_path / f"{name}{number}" for number in range(40) for name in "abc"]
    for name in names:
        name.hardlink_to(tmp_path / name.name[0])
    opened = []
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *rest, **named: opened.append(path) or plain(path, *rest, **named))
    both = [index for index, name in enumerate(names) if name.name[0] in "ab"]
    assert same_content(names) == [both, [index for index in range(120) if index not in both]]
    assert len(opened) == 2 * 3
    assert first_of_each_file(names) == [index % 3 for index in range(120)]
    absent = [tmp_path / "absent", tmp_path / "gone", tmp_path / "absent"]
    assert first_of_each_file(absent) == [0, 1, 0]
