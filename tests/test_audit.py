"""An audit that could look up nothing is not measured, not clean."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "audit.py"
CLEAN = {"name": "numpy", "version": "2.0", "vulns": []}
BAD = {"name": "lightning", "version": "2.6.2", "vulns": [{"id": "GHSA-w37p-236h-pfx3", "fix_versions": ["2.6.4"]}]}
UNFIXED = {"name": "one", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": []}, {"id": "CVE-2"}]}
SKIPPED = {"name": "torch", "skip_reason": "Dependency not found"}


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("answer", "status", "numbers"),
    [
        ([CLEAN, SKIPPED], 0, (1, 1, 0)),
        ([CLEAN, BAD, UNFIXED], 1, (3, 0, 2)),
        ([SKIPPED, SKIPPED], 2, (0, 2, 0)),
        ([], 2, (0, 0, 0)),
    ],
)
def test_the_status_says_what_was_found(audit, answer, status, numbers):
    found, counts, lines = audit.judge(answer)
    assert found == status
    assert tuple(counts.values()) == numbers
    assert len(lines) == sum(len(one.get("vulns", ())) for one in answer)


def test_a_vulnerability_is_named_with_its_fix(audit):
    lines = audit.judge([BAD, UNFIXED])[2]
    assert lines[0] == "lightning 2.6.2: GHSA-w37p-236h-pfx3, fixed in 2.6.4"
    assert lines[1].endswith("fixed in none")


def test_the_command_asks_about_what_is_installed_and_passes_the_status_on(audit, tmp_path, capsys):
    auditor = tmp_path / "pip-audit"
    asked = tmp_path / "asked.txt"
    for answer, status, audited in (([CLEAN], 0, 1), ([SKIPPED], 2, 0)):
        said = json.dumps({"dependencies": answer})
        auditor.write_text(f"#!/bin/sh\ncp \"$2\" {asked}\necho '{said}'\n")
        auditor.chmod(0o755)
        assert audit.main([sys.executable, str(auditor)]) == status
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["audited"] == audited
    packages = asked.read_text().split()
    assert any(one.startswith("torch==") for one in packages)
    assert not any("tagseg" in one or "+" in one for one in packages)


def test_no_answer_is_one_line_and_not_measured(audit, tmp_path, capsys):
    auditor = tmp_path / "pip-audit"
    auditor.write_text("#!/bin/sh\necho nothing works >&2\nexit 1\n")
    auditor.chmod(0o755)
    assert audit.main([sys.executable, str(auditor)]) == 2
    assert capsys.readouterr().err == "not measured: pip-audit gave no answer (nothing works)\n"
