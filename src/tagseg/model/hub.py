"""Networks in repositories of a Hugging Face hub: ``hf://OWNER/NAME[@REVISION][/FILE.safetensors]``.

Only a safetensors file is fetched, of which tensors and JSON are read: nothing in it is executed.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from tagseg.errors import TagsegError

logger = logging.getLogger("tagseg")

SCHEME = "hf://"
PUBLISHED = "model.safetensors"
"""What an exported network is called: the name under which a hub shows the size of a model."""
NAMES = (PUBLISHED, "best.safetensors", "last.safetensors")
"""What a network is searched as in a repository, the preferred one first."""
_TIMEOUT = 10.0
"""Seconds that the hub has to say what a repository holds."""
_EXPECTED = f"expected {SCHEME}OWNER/NAME, {SCHEME}OWNER/NAME@REVISION or {SCHEME}OWNER/NAME/FILE.safetensors"


class HubAddress(NamedTuple):
    """Where a network is.

    Attributes:
        repository: ``OWNER/NAME``.
        revision: a branch, a tag or a commit; ``None``: the main branch.
        file: path inside the repository; ``None``: one of ``NAMES``.
    """

    repository: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{SCHEME}{self.repository}{at}" + (f"/{self.file}" if self.file else "")


def is_hub_address(model: object) -> bool:
    """Whether a model is named by its place on a hub; also after ``Path`` has made one slash of two."""
    return isinstance(model, str | Path) and str(model).startswith("hf:/")


def hub_address(model: str | Path) -> HubAddress:
    """The parts of ``hf://OWNER/NAME[@REVISION][/FILE]``; a slash in a revision is written ``%2F``.

    Raises:
        TagsegError: another form, or a file of another kind.
    """
    text = re.sub(r"^hf:/+", "", str(model)).rstrip("/")
    found = re.fullmatch(r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(@(?P<revision>[^/@]+))?(/(?P<file>.+))?", text)
    if found is None:
        raise TagsegError(f"{SCHEME}{text}: no address of a repository, {_EXPECTED}")
    file = found["file"]
    if file is not None and Path(file).suffix != ".safetensors":
        raise TagsegError(f"{SCHEME}{text}: {file!r} is no .safetensors file, {_EXPECTED}")
    revision = found["revision"] and unquote(found["revision"])
    for part in (found["owner"], found["name"], revision, file):  # they become paths in the hub's cache
        if part is not None and (
            part.startswith("/") or not part.strip(".") or {"..", "\\"} & {*re.split(r"/|(\\)", part)}
        ):
            raise TagsegError(f"{SCHEME}{text}: {part!r} leads out of a repository, {_EXPECTED}")
    return HubAddress(f"{found['owner']}/{found['name']}", revision, file)


def fetched(model: str | Path) -> Path:
    """The network's file in the hub's cache, fetched where it is not there or not the newest.

    Without a network connection, or with ``HF_HUB_OFFLINE=1``, the cached file is taken.

    Raises:
        TagsegError: no such repository, revision or file, no right to read it, or no connection and nothing cached.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    address = hub_address(model)
    names = (address.file,) if address.file else NAMES
    try:
        facts = HfApi().model_info(address.repository, revision=address.revision, timeout=_TIMEOUT)
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise _explain(address, error) from error
    except Exception as error:  # of the HTTP client, which differs by version, or an error of the server's own
        return _cached(address, names, error)
    there = {sibling.rfilename for sibling in facts.siblings or ()}
    name = next((name for name in names if name in there), None)
    if name is None:
        raise TagsegError(
            f"{address}: no tagseg network in this repository, expected {' or '.join(names)}, as tagseg export "
            "--publish writes it: check the repository's files, or name one as hf://OWNER/NAME/FILE.safetensors"
        )
    try:
        return Path(hf_hub_download(address.repository, name, revision=address.revision))
    except Exception as error:
        raise _explain(address, error) from error


def _cached(address: HubAddress, names: tuple[str, ...], reason: Exception) -> Path:
    """The network's file as it was fetched before; ``reason``: why the hub was not asked."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for name in names:
        try:
            path = Path(hf_hub_download(address.repository, name, revision=address.revision, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
        logger.info("%s: the hub cannot be reached, the network is that of the cache (%s)", address, path)
        return path
    raise TagsegError(
        f"{address}: not in the cache, and the hub cannot be reached ({first_line(reason)}): connect to the network, "
        "check HF_ENDPOINT and HF_HUB_OFFLINE if they are set, or give a folder that holds the network"
    ) from reason


def _explain(address: HubAddress, error: Exception) -> TagsegError:
    """What a failed request means, in one line."""
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):  # a kind of RepositoryNotFoundError
        return TagsegError(
            f"{address}: access to this repository is gated: accept its terms on its page, then log in with hf auth "
            "login, or set HF_TOKEN"
        )
    if isinstance(error, RepositoryNotFoundError):
        return TagsegError(
            f"{address}: no such repository, or a private one: check its name; for a private one log in with hf auth "
            "login, or set HF_TOKEN"
        )
    if isinstance(error, RevisionNotFoundError):
        return TagsegError(
            f"{address}: the repository has no revision {address.revision!r}: check branch, tag or commit"
        )
    if isinstance(error, HFValidationError):
        return TagsegError(f"{address}: no valid name of a repository ({first_line(error)}), {_EXPECTED}")
    return TagsegError(
        f"{address}: could not be fetched ({first_line(error)}): try again, or give a folder that holds the network"
    )


def first_line(error: Exception) -> str:
    """The first line of an error that says something, without its full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
