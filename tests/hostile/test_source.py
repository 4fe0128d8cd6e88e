"""Nothing in the source can run what a file holds, but for a few places that are listed with the reason why."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tagseg"

ALLOWED = {
    ("data/onehot.py", "pickle"): "reads arrays through an unpickler that calls nothing which the file names",
    ("__init__.py", "import_module"): "of a table of our own names",
    ("cli.py", "import_module"): "of the verbs",
    ("old_names.py", "import_module"): "of a table of our own names",
    ("data/tools/parquet.py", "import_module"): "one of three libraries",
}
"""What reads or runs code, by file, and why it is safe."""
_WORDS = re.compile(
    r"pickle|dill|joblib|shelve|marshal|load|yaml|\b(?:eval|exec|compile)\(|import_|popen|system|extract|hub|shell"
)
BANNED = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")


def test_nothing_in_the_source_can_run_what_a_file_holds() -> None:
    files = list(SOURCE.rglob("*.py"))
    assert len(files) > 200
    found = {(file.relative_to(SOURCE).as_posix(), what): line for file in files for what, line in dangers(file)}
    surprising = {where: line for where, line in found.items() if where not in ALLOWED}
    assert not surprising, f"add it to ALLOWED with the reason why it is safe, or leave it out: {surprising}"
    assert set(ALLOWED) == set(found)  # none is left over


def dangers(path: Path) -> Iterator[tuple[str, int]]:
    """What in a file could execute content, with its line."""
    text = path.read_text(encoding="utf-8")
    if not _WORDS.search(text):  # parsing all files takes seconds
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from ((name, node.lineno) for name in modules if name.partition(".")[0] in BANNED)
        if isinstance(node, ast.Call) and (what := danger(node)):
            yield what, node.lineno


def danger(call: ast.Call) -> str:
    """Why a call could execute content; empty if it cannot."""
    name, given = ast.unparse(call.func), {each.arg: ast.unparse(each.value) for each in call.keywords}
    last = name.rpartition(".")[2]
    safe = ("yaml.BaseLoader", "yaml.SafeLoader", "loader")
    loader = given.get("Loader") or (ast.unparse(call.args[1]) if call.args[1:] else "")
    checks = {
        "torch.load without weights_only=True": name == "torch.load" and given.get("weights_only") != "True",
        "np.load with pickles": name in ("np.load", "numpy.load", "np.lib.format.read_array")
        and given.get("allow_pickle", "False") != "False",
        "an unsafe loader of YAML": name in ("yaml.load", "yaml.load_all", "yaml.compose") and loader not in safe,
        "an unsafe loader": last in ("unsafe_load", "full_load", "unsafe_load_all", "full_load_all"),
        last: name in ("eval", "exec", "compile", "__import__", "os.system", "os.popen")
        or (last == "import_module" and not isinstance(call.args[0], ast.Constant)),
        "torch.hub or torch.jit.load": name in ("torch.hub.load", "torch.jit.load", "torch.package.PackageImporter"),
        "extractall": last in ("extractall", "unpack_archive") or (last == "extract" and "zip" in name.lower()),
        "shell=True": given.get("shell", "False") != "False",
    }
    return next((what for what, is_so in checks.items() if is_so), "")


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(p, allow_pickle=True)",
        "yaml.load(t, Loader=yaml.Loader)",
        "yaml.unsafe_load(t)", "eval(t)", "subprocess.run(c, shell=True)", "archive.extractall(p)", "import_module(n)",
    ],
)  # fmt: skip
def test_the_scan_sees_what_it_looks_for(code: str) -> None:
    call = ast.parse(code).body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert danger(call.value)
