"""An exported folder as a repository of a Hugging Face hub, to be loaded as ``hf://OWNER/NAME``."""

from __future__ import annotations

import logging
from pathlib import Path

from tagseg.arguments import check_kinds, check_path
from tagseg.errors import TagsegError, list_some
from tagseg.exporting.model_card import LOADED
from tagseg.exporting.repository import CARD
from tagseg.files import replacing
from tagseg.model.checkpoint import load_network
from tagseg.model.hub import PUBLISHED, HubAddress, first_line, hub_address

logger = logging.getLogger("tagseg")

KEPT_BACK = ("data.json", "config.yaml", "*.ckpt", "*.tmp", ".*")
"""Never published: they name folders and files of this machine, or belong to a training."""


def check_repository(repository: str) -> str:
    """``OWNER/NAME`` of a hub, also written ``hf://OWNER/NAME``.

    Raises:
        TagsegError: another form.
    """
    check_kinds(locals(), repository="text")
    address = hub_address(repository if repository.startswith("hf:/") else f"hf://{repository}")
    if address != HubAddress(address.repository):
        raise TagsegError(f"the repository is {repository!r}, expected OWNER/NAME, without revision and file")
    return address.repository


def publish(folder: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload an exported folder to a repository of a hub, which is made if it is not there.

    What is in the repository already and not in the folder stays there. The hub's own login is used (``hf auth login``
    or ``HF_TOKEN``).

    Args:
        folder: that ``tagseg.export`` has written: a network, a model card and exported files.
        repository: ``OWNER/NAME``.
        private: make the repository for its owner alone; a public one that is there already is refused.

    Returns:
        Its address, ``hf://OWNER/NAME``.

    Raises:
        TagsegError: no such folder, no network or card in it, another form of ``repository``, no login, no right or no
            connection.
    """
    check_path("folder", folder, "an exported folder (str or Path)")
    check_kinds(locals(), private="switch")
    repository, folder = check_repository(repository), Path(folder).expanduser()
    missing = [name for name in (PUBLISHED, CARD) if not (folder / name).is_file()]
    if missing:
        raise TagsegError(
            f"{folder} lacks {list_some(missing)}, expected an exported folder: make it by tagseg export RUN"
        )
    load_network(folder / PUBLISHED)  # whoever loads it must be able to
    _name_in_example(folder / CARD, repository)
    _upload(folder, repository, private)
    return str(HubAddress(repository))


def _name_in_example(card: Path, repository: str) -> None:
    """Let the card's example load the network from where it is published."""
    text = card.read_text(encoding="utf-8")
    with replacing(card) as path:
        path.write_text(text.replace(LOADED, f'tagseg.load("{HubAddress(repository)}")'), encoding="utf-8")


def _upload(folder: Path, repository: str, private: bool) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True, repo_type="model")
        if private and not api.model_info(repository).private:
            raise TagsegError(
                f"{repository} is there already and public, expected a private one: choose another name, or make it "
                "private on its page"
            )
        logger.info("uploading %s to %s", folder, HubAddress(repository))
        api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Upload by tagseg", ignore_patterns=list(KEPT_BACK)
        )
    except LocalTokenNotFoundError as error:
        raise _not_logged_in(repository) from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == 401:
            raise _not_logged_in(repository) from error
        if status == 403:
            raise TagsegError(
                f"{repository}: your login may not write there: check the owner's name, and that the token may write"
            ) from error
        raise _failed(repository, error) from error
    except TagsegError:
        raise
    except Exception as error:  # of the HTTP client, which differs by version
        raise _failed(repository, error) from error


def _not_logged_in(repository: str) -> TagsegError:
    return TagsegError(
        f"{repository}: publishing needs a login: hf auth login, or HF_TOKEN with a token that may write; the exported "
        "folder is complete"
    )


def _failed(repository: str, error: Exception) -> TagsegError:
    return TagsegError(
        f"{repository}: could not be published ({first_line(error)}): try again; the exported folder is complete"
    )
