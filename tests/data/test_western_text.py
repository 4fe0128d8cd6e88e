"""Western Windows text is read; what only looks like it, in another code page, is not."""

import pytest

from tagseg.data.western_text import western


@pytest.mark.parametrize(
    "text",
    [
        "Vögel;Bär;Frühstück",
        "chat à la crème;œuf;été;École;naïve",
        "niño;perro;año 2020;España",
        "bjørn;ræv;får;Ærø",
        "pão;cão;maçã",
        "l’été;l’hôtel;café 20 °C – 5 €",
        "GRÜN;STRASSE;Straße",
    ],
)
def test_languages_of_the_west_are_read(text):
    found = western(text.encode("cp1252"))
    assert found is not None
    assert found[0] == text
    assert all(word in text and not word.isascii() for word in found[1])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("кот;собака", "cp1251"),
        ("кот;собака", "koi8-r"),
        ("γάτα;σκύλος", "cp1253"),
        ("żółw;pies", "cp1250"),
        ("kůň;štěně", "cp1250"),
        ("ısırgan;köpek", "cp1254"),
        ("猫;狗", "gbk"),
        ("猫;犬", "shift-jis"),
        ("고양이;개", "euc-kr"),
        ("貓;狗", "big5"),
        ("חתול;כלב", "cp1255"),
        ("قط;كلب", "cp1256"),
        ("Vögel;Bär", "cp850"),
        ("Vögel;Bär;café", "mac-roman"),
        ("niño;pingüino;león", "cp850"),
        ("niño;león", "mac-roman"),
        ("ö;ü", "cp1252"),  # letters alone tell nothing
    ],
)
def test_other_code_pages_are_not(text, encoding):
    assert western(text.encode(encoding)) is None
