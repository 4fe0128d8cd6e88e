"""Build the wheel and the source distribution, look into them, and use each in a clean environment as a new user would.

    python tools/try_package.py           build, look, install each with what it needs, train, predict, evaluate
    python tools/try_package.py --quick   the same for the wheel alone, with the packages of this environment: seconds

A third and fourth build of the same files must give the same bytes. The last line is JSON; exit status 1 if anything is
wrong, with one line on standard error that says what.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    "tagseg/__init__.py",
    "tagseg/py.typed",
    "tagseg/docs/method.md",
    "tagseg/app/weights/scenes_vit.safetensors",
    "tagseg/reviewing/fitted.json",
    "tagseg/reporting/page/report.css",
    "tagseg/reporting/page/report.js",
    "tagseg/serving/page/index.html",
    "tagseg/serving/page/page.css",
    "tagseg/serving/page/page.js",
    "tagseg/serving/page/icon.svg",
)
"""Files of the wheel beside the modules: what a forgotten one would break is not seen where the source is at hand."""
SOURCE = ("LICENSE", "README.md", "pyproject.toml", "docs/method.md", "src/tagseg/__init__.py", "src/tagseg/py.typed")
"""Files that a source distribution must have."""
EXTRAS = ("export", "hub", "serve")
"""Installed after the plain package was tried without them."""
EPOCH = "1577836800"
"""Seconds since 1970 that stand in the archives, so that the same files give the same bytes."""
DRAW = """
import csv, pathlib
import numpy as np
from PIL import Image
root = pathlib.Path("photos")
rows = [("image", "labels", "split")]
for index in range(8):
    rng = np.random.default_rng(index)
    photo, mask = rng.integers(0, 90, (64, 72, 3), np.uint8), np.zeros((64, 72), np.uint8)
    place = slice(20 + index, 44 + index), slice(16, 48)
    photo[place][..., index % 2] += 150
    mask[place] = index % 2 + 1
    for kind, array, suffix in (("images", photo, "jpg"), ("masks", mask, "png")):
        path = root / kind / f"photo{index}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
    rows.append((f"photo{index}.jpg", ("red", "green")[index % 2], "train" if index < 6 else "val"))
with (root / "labels.csv").open("w", newline="") as file:
    csv.writer(file).writerows(rows)
(root / "classes.txt").write_text("red\\ngreen")
"""
IMPORT = """
import importlib, json, pkgutil, sys
import tagseg
assert "site-packages" in tagseg.__file__, tagseg.__file__
needs, count = {}, 0
for module in pkgutil.walk_packages(tagseg.__path__, "tagseg."):
    if module.name == "tagseg.__main__":
        continue
    count += 1
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        needs[module.name] = (error.name or "").partition(".")[0]
print(json.dumps({"modules": count, "needs": needs}))
"""


class Wrong(Exception):
    """Something is not as it should be; one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the wheel alone, with the packages of this environment")
    quick = parser.parse_args(argv).quick
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="tagseg-package-") as folder:
        try:
            trial(Path(folder), quick, found)
        except Wrong as error:
            print(error, file=sys.stderr)
    wanted = ("contents", "reproducible", "wheel", *(() if quick else ("sdist",)))
    right = all(found.get(name) is True for name in wanted)
    print(json.dumps(found))
    return int(not right)


def trial(folder: Path, quick: bool, found: dict[str, object]) -> None:
    """Build and use the package below a folder, noting what was found."""
    source = snapshot(folder / "source")
    wheel, sdist = built(source, folder / "first")
    found["contents"] = check_contents(wheel, sdist)
    found["reproducible"] = hashes(wheel, sdist) == hashes(*built(source, folder / "second"))
    used = use(folder / "wheel", wheel, quick)
    found |= {"wheel": True, "modules": used}
    if not quick:
        found["modules_with_extras"] = with_extras(folder / "wheel", wheel)
        use(folder / "sdist", sdist, quick)
        found["sdist"] = True


def snapshot(folder: Path) -> Path:
    """A copy of what is packed, so that nobody changes it between two builds."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "method.md", folder / "docs")
    for file in (*ROOT.glob("*.md"), *ROOT.glob("*.cff"), ROOT / "LICENSE", ROOT / "pyproject.toml"):
        shutil.copy(file, folder)
    return folder


def built(source: Path, folder: Path) -> tuple[Path, Path]:
    """A wheel, which is made from the source distribution, and that distribution."""
    run([uv(), "build", "--quiet", "--out-dir", str(folder), str(source)], source, {"SOURCE_DATE_EPOCH": EPOCH})
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def uv() -> str:
    """The program that builds and installs."""
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise Wrong("uv is absent, expected it in this environment: pip install uv")
    return found


def hashes(*files: Path) -> list[str]:
    """SHA-256 of each file."""
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def check_contents(wheel: Path, sdist: Path) -> bool:
    """Raise ``Wrong`` unless both hold every module, page and licence, and nothing of the tests."""
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    package = ROOT / "src" / "tagseg"
    modules = {f"tagseg/{path.relative_to(package).as_posix()}" for path in package.rglob("*.py")}
    licence = {f"{wheel.name.split('-')[0]}-{wheel.name.split('-')[1]}.dist-info/licenses/LICENSE"}
    absent = sorted((modules | set(NEEDED) | licence) - in_wheel) + sorted(set(SOURCE) - in_sdist)
    if absent:
        raise Wrong(f"the archives lack {', '.join(absent)}")
    others = sorted(name for name in in_wheel if not name.startswith(("tagseg/", "tagseg-")))
    others += sorted(name for name in in_sdist if name.startswith(("tests", "benchmarks", "docs/photos", "site")))
    if others:
        raise Wrong(f"the archives hold {', '.join(others[:5])}, expected the package alone")
    return True


def use(folder: Path, archive: Path, quick: bool) -> int:
    """Install an archive in an environment of its own, import every module and go the way from tags to scores."""
    environment(folder)
    if quick:
        install(folder, "--no-deps", str(archive))
        borrowed = folder / "env" / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix) / "borrowed.pth"
        borrowed.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    else:
        install(folder, str(archive))
    python = str(folder / "env" / "bin" / "python")
    seen = json.loads(run([python, "-c", IMPORT], folder).splitlines()[-1])
    own = {module: package for module, package in seen["needs"].items() if package not in packages_of_extras()}
    if own:
        raise Wrong(f"{archive.name}: modules that cannot be imported: {own}")
    tagseg = str(folder / "env" / "bin" / "tagseg")
    run([python, "-c", DRAW], folder)
    if "train" not in run([tagseg, "--help"], folder):
        raise Wrong(f"{archive.name}: tagseg --help names no verb")
    settings = ["--network.weights", "none", "--features.size", "64", "--run.steps", "4", "--run.workers", "0"]
    run([tagseg, "train", "photos", "--run.output", "run", *settings], folder)
    run([tagseg, "predict", "run", "photos/images", "--output", "predicted"], folder)
    run([tagseg, "evaluate", "run"], folder)
    masks = list((folder / "predicted").rglob("photo*.png"))
    if len(masks) < 8:
        raise Wrong(f"{archive.name}: {len(masks)} masks of 8 photos")
    return int(seen["modules"])


def with_extras(folder: Path, wheel: Path) -> int:
    """Add the extras to an environment: then each module can be imported that does not need another extra."""
    install(folder, f"tagseg[{','.join(EXTRAS)}] @ {wheel.as_uri()}")
    seen = json.loads(run([str(folder / "env" / "bin" / "python"), "-c", IMPORT], folder).splitlines()[-1])
    left = {module: package for module, package in seen["needs"].items() if package not in ("openvino", "ray")}
    if left:
        raise Wrong(f"with the extras {', '.join(EXTRAS)} there are modules that cannot be imported: {left}")
    return int(seen["modules"])


def packages_of_extras() -> set[str]:
    """What plain tagseg does without."""
    serving = {"fastapi", "multipart", "pydantic", "starlette", "uvicorn"}
    return serving | {"onnx", "onnxruntime", "onnxscript", "openvino", "ray", "pyarrow", "pandas"}


def environment(folder: Path) -> None:
    """A new environment without any package."""
    folder.mkdir()
    run([uv(), "venv", "--quiet", "--python", sys.executable, str(folder / "env")], folder)


def install(folder: Path, *what: str) -> None:
    """Install into that environment."""
    run([uv(), "pip", "install", "--quiet", "--python", str(folder / "env" / "bin" / "python"), *what], folder)


def run(command: Sequence[str], folder: Path, variables: dict[str, str] | None = None) -> str:
    """Standard output of a command that must succeed, run where the source is not."""
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=folder, env=ours | (variables or {}), capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise Wrong(f"{Path(command[0]).name} {' '.join(command[1:3])}: {last}")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
