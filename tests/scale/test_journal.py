import pytest

from tagseg.errors import TagsegError
from tagseg.scale.journal import Journal, appending, read_records


def test_records_come_back_in_order(tmp_path):
    journal = Journal(tmp_path / "below" / "j.jsonl")
    assert list(journal.read()) == [], "and no file is made by reading"
    for number in range(3):
        journal.add({"name": f"é\udcff{number}", "shares": {"dog": 0.1}})
    assert list(Journal(journal.path).read()) == [{"name": f"é\udcff{n}", "shares": {"dog": 0.1}} for n in range(3)]


def test_the_line_of_a_killed_writer_is_left_out_and_spoils_no_other(tmp_path):
    path = tmp_path / "j.jsonl"
    Journal(path).add({"name": "a"})
    with path.open("ab") as file:
        file.write(b'{"name": "b"')
    assert list(read_records(path)) == [{"name": "a"}]
    Journal(path).add({"name": "c"})
    assert list(read_records(path)) == [{"name": "a"}, {"name": "c"}]


def test_a_line_that_is_no_record_is_left_out(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'[1]\n"text"\n\xff\n{"name": "a"}\n\n')
    assert list(read_records(path)) == [{"name": "a"}]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TagsegError, match=r"cannot write .*j\.jsonl"), appending(tmp_path / "file" / "j.jsonl"):
        pass
