"""RPC URLs are secrets: a printable name for a node, and texts cleared of what the URL holds."""

import re
from base64 import b64encode
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

MASK: Final = "***"
MAX_TEXT: Final = 200
_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>)\]}]+", re.IGNORECASE)


def host_label(url: str) -> str:
    """The URL's host without port, userinfo, path and query; parts that look like keys masked."""
    host = urlsplit(url).hostname or "the node"
    if ":" in host or host.replace(".", "").isdigit():
        return host
    return ".".join(MASK if _looks_like_key(part) else part for part in host.split("."))


def _looks_like_key(part: str) -> bool:
    digits = sum(character.isdigit() for character in part)
    return len(part) > 20 or (len(part) >= 10 and digits >= 3 and digits < len(part))


class Hider:
    """Clears provider texts of everything that stands in the URL but the bare host."""

    def __init__(self, url: str) -> None:
        self._pattern = _pattern_of(_secrets_of(url))

    def clear(self, text: str, length: int = MAX_TEXT) -> str:
        """One printable line, without secrets, of bounded length."""
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        text = _URL.sub(_shortened, text)
        return text if len(text) <= length else text[: length - 1] + "…"


def _shortened(found: re.Match[str]) -> str:
    try:
        return host_label(found[0])
    except ValueError:
        return MASK


def _secrets_of(url: str) -> set[str]:
    parts = urlsplit(url)
    secrets = {url, parts.path, parts.query, parts.fragment, parts.netloc.rpartition("@")[0]}
    secrets |= {segment for segment in re.split(r"[/;,]", parts.path) if len(segment) >= 4}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        secrets |= {value} if value else {name}
    for login in (parts.username, parts.password):
        secrets |= {login} if login else set()
    if parts.username or parts.password:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        secrets.add(b64encode(pair.encode()).decode())
    secrets |= {part for part in (parts.hostname or "").split(".") if _looks_like_key(part)}
    return {s for secret in secrets for s in (secret, unquote(secret)) if len(s) > 1}


def _pattern_of(secrets: set[str]) -> re.Pattern[str] | None:
    """Longest first; short ones only as whole words, or they would eat into every sentence."""
    ordered = sorted(secrets, key=len, reverse=True)
    if not ordered:
        return None
    return re.compile(
        "|".join(re.escape(s) if len(s) >= 4 else rf"(?<!\w){re.escape(s)}(?!\w)" for s in ordered),
        re.IGNORECASE,
    )
