from tagseg.data.same_content import same_content


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
