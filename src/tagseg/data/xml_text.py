"""XML from outside, without document types: no entities, which could grow without end or name files and addresses."""

from __future__ import annotations

from typing import NoReturn
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat


class DocumentType(ValueError):
    """The XML begins with a document type."""


class _Begun(Exception):
    """The first element has been reached: no document type can follow."""


def parse_xml(content: str | bytes) -> Element:
    """The root of a document.

    Raises:
        DocumentType: it has a document type (``<!DOCTYPE``), which annotations do not need.
        ElementTree.ParseError, ValueError, LookupError: it is no XML, or in an encoding that is not known.
    """
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = _stop
    try:
        parser.Parse(content, True)
    except _Begun:
        pass
    except (expat.ExpatError, LookupError, ValueError) as error:  # told better by the next parser
        if isinstance(error, DocumentType):
            raise
    return ElementTree.fromstring(content)


def _refuse(*_: object) -> NoReturn:
    raise DocumentType("it has a document type (<!DOCTYPE), whose entities are not read: remove it")


def _stop(*_: object) -> NoReturn:
    raise _Begun
