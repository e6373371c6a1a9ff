"""The files that go with a prompt: from the upload to the contract's attachments."""

import base64
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.contract import MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, Attachment
from core.errors import InvalidInput
from dashboard import formatting, state
from dashboard.components import playground_draft as draft


def attachments() -> list[Attachment]:
    """The files that go with the prompt. Raises InvalidInput, naming the file that cannot go."""
    read: dict[str, Attachment] = st.session_state.setdefault(state.PLAYGROUND_READ_FILES, {})
    files = st.session_state.get(state.PLAYGROUND_FILES) or []
    for gone in read.keys() - {file.file_id for file in files}:
        del read[gone]
    found = [*draft.kept_files(), *(_read_file(file, read) for file in files)]
    if len(found) > MAX_ATTACHMENTS:
        raise InvalidInput(f"{len(found)} files are attached; a request takes {MAX_ATTACHMENTS}.")
    return found


def as_attachment(name: str, media_type: str, data: bytes) -> Attachment:
    """A file as the contract carries it. Raises InvalidInput: too large, or of a kind that no model reads."""
    if len(data) > MAX_ATTACHMENT_BYTES:
        limit = MAX_ATTACHMENT_BYTES // (1024 * 1024)
        raise InvalidInput(f"{name} has {len(data) / (1024 * 1024):.1f} MB; a file may have {limit} MB.")
    try:
        return Attachment.model_validate(
            {"media_type": media_type, "name": name[:200] or None, "data": base64.b64encode(data).decode()}
        )
    except ValidationError as exc:
        raise InvalidInput(f"{name} is empty, or neither PNG, JPEG, GIF, WebP nor PDF.") from exc


def _read_file(file: Any, read: dict[str, Attachment]) -> Attachment:
    if file.file_id not in read:
        read[file.file_id] = as_attachment(file.name, file.type, file.getvalue())
    return read[file.file_id]


def refuse_files(slot: int, reads: frozenset[str]) -> None:
    """Raises InvalidInput, naming them, if the column's model cannot read files that are attached.

    They stay attached: another model may read them.

    Args:
        slot: The column.
        reads: The media types that its model reads.
    """
    refused = [(name, media_type) for name, media_type in draft.files() if media_type not in reads]
    if not refused:
        return
    types = {media_type for _, media_type in refused}
    images = {name for name in types if name.startswith("image/")}
    if images and any(name.startswith("image/") for name in reads):
        kind = f"{', '.join(sorted(images))} images"
    else:
        kind = "images" if images else "PDF files"
    names = formatting.listed(list(dict.fromkeys(name for name, _ in refused)))
    raise InvalidInput(
        f"The model {draft.field(slot, 'model')} does not take {kind}. Remove {names}, or choose another model."
    )
