"""VOC's XML in the encodings of the world, damaged, and with objects that are none."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagseg.data.voc_xml import read_annotation, read_annotations
from tagseg.errors import TagsegError

BODY = "<annotation><folder>{}</folder><filename>1.jpg</filename><object><name>cat</name></object></annotation>"


def write(folder: Path, data: bytes | str, name: str = "1") -> Path:
    path = folder / f"{name}.xml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        *(
            ("gb2312", "猫狗"),
            ("GBK", "镕"),
            ("gb18030", "测试"),
            ("Big5", "貓"),
            ("shift_jis", "ねこ表"),
            ("euc-kr", "고양이"),
        ),
        *(("iso-8859-1", "café"), ("windows-1251", "кот"), ("utf-8", "猫"), ("utf-16", "猫"), ("EUC-JP", "ねこ")),
    ],
)
def test_declared_encodings_are_read(tmp_path, declared, text):
    data = (f'<?xml version="1.0" encoding="{declared}"?>' + BODY.format(text)).encode(
        "gb18030" if declared == "gb2312" else declared
    )
    found = read_annotation(write(tmp_path, data))
    assert (found.names, found.encoding) == (("cat",), "")


def test_names_in_a_declared_encoding(tmp_path):
    data = f'<?xml version="1.0" encoding="gbk"?>{BODY}'.replace("cat", "猫").encode("gbk")
    assert read_annotation(write(tmp_path, data)).names == ("猫",)


@pytest.mark.parametrize(
    ("head", "encoding", "read_as"),
    [
        ("", "latin-1", "Latin-1"),
        ("", "gbk", "Latin-1"),
        ('<?xml version="1.0" encoding="utf-8"?>', "cp1252", "Latin-1"),
        ('<?xml version="1.0" encoding="utf8mb4"?>', "utf-8", "utf-8"),
        ('<?xml version="1.0" encoding="utf-16"?>', "utf-8", "utf-8"),
        ('<?xml version="1.0" encoding="ascii"?>', "utf-8", "utf-8"),
    ],
)
def test_a_wrong_declaration_is_said(tmp_path, head, encoding, read_as):
    write(tmp_path, (head + BODY.format("éü")).encode(encoding))
    names, (note,) = read_annotations(tmp_path, ["1"])
    assert names == {"1": ("cat",)}
    assert f"not in the encoding they declare, read as {read_as}" in str(note)


def test_a_name_that_cannot_be_known_is_one_line(tmp_path):
    with pytest.raises(TagsegError, match=r"1\.xml is not in the encoding it declares \(UTF-8\).*save it as UTF-8"):
        read_annotation(write(tmp_path, BODY.replace("cat", "狗").encode("gbk")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no XML .it is empty"),
        (b"  \n", "is no XML .it is empty"),
        ("<annotation><object>", "is no XML"),
        (b"\x00\x01\xff", "is no XML"),
        ("<annotation>&nothing;</annotation>", "is no XML"),
        ("<annotations><image/></annotations>", "holds <annotations>, expected VOC's <annotation>"),
        ("<annotation><object><pose/></object></annotation>", "object 1 of 1 is without a name"),
        ("<annotation><object><name> </name></object></annotation>", "object 1 of 1 is without a name"),
    ],
)
def test_damage_is_one_line(tmp_path, data, message):
    with pytest.raises(TagsegError, match=message) as error:
        read_annotation(write(tmp_path, data))
    assert "\n" not in str(error.value)


def test_names_parts_namespaces_and_deleted_objects(tmp_path):
    one = "<name>\n traffic\t light </name><part><name>lamp</name></part>"
    others = "<object><name>dog</name><deleted>1</deleted></object>"
    write(tmp_path, f'<annotation xmlns="http://x"><object>{one}</object>{others}<name>no</name></annotation>')
    names, notes = read_annotations(tmp_path, ["1"])
    assert names == {"1": ("traffic light",)}
    assert [str(note) for note in notes] == [
        "1 annotations with deleted objects, left out: 1.xml",
    ]


def test_another_filename_is_warned_of(tmp_path):
    write(tmp_path, BODY, "1")
    write(tmp_path, BODY, "2")
    write(tmp_path, BODY.replace("1.jpg", "C:\\x\\3.PNG"), "3")
    names, (note,) = read_annotations(tmp_path, ["1", "2", "3", "absent"])
    assert list(names) == ["1", "2", "3"]
    assert (note.warning, note.examples) == (True, ("2.xml (1.jpg)",))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=40), st.sampled_from([b"", b"<annotation>", b'<?xml version="1.0" encoding="gbk"?><annotation>'])
)
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, data, head):
    message = ""
    try:
        read_annotation(write(tmp_path, head + data))
    except TagsegError as error:
        message = str(error)
    assert "\n" not in message
