import pytest

from tagseg.check.finding import KEPT, exit_code, found, worst_first


def finding(severity):
    return found("code", severity, ["a"], "what", "way out")


def test_nothing_found_is_no_finding():
    assert found("code", "error", [], "what", "way out") == ()


def test_names_say_how_many_more_there_are():
    [one] = found("code", "error", ["a", "b", "c", "d", "e"], "what", "way out")
    assert one.names == "a, b, c and 2 more"
    [counted] = found("code", "error", ["a"], "what", "way out", count=9)
    assert counted.names == "a and 8 more"
    [sentences] = found("code", "error", ["a" * 200, "b" * 200], "what", "way out")
    assert sentences.names == "a" * 200 + " and 1 more"
    [many] = found("code", "error", [str(n) for n in range(99)], "what", "way out")
    assert (many.count, len(many.examples)) == (99, KEPT)


@pytest.mark.parametrize(
    ("severities", "code", "strict"),
    [((), 0, 0), (("note",), 0, 0), (("note", "warning"), 0, 1), (("note", "error"), 1, 1)],
)
def test_exit_codes(severities, code, strict):
    findings = [one for severity in severities for one in finding(severity)]
    assert (exit_code(findings), exit_code(findings, strict=True)) == (code, strict)


def test_the_worst_come_first_and_the_order_is_kept_otherwise():
    findings = [*finding("note"), *finding("error"), *finding("warning"), *found("b", "error", ["a"], "what", "out")]
    assert [(one.severity, one.code) for one in worst_first(findings)] == [
        ("error", "code"), ("error", "b"), ("warning", "code"), ("note", "code"),
    ]  # fmt: skip
