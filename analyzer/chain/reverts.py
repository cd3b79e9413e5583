"""Why a call reverted: one reason for one revert, whichever way its answer came.

The reason is derived from the revert data where there is any, since all nodes and Multicall3 hand
over the same bytes, and from the node's words only where there is none.
"""

import re
from typing import Any, Final

from analyzer.evm import Answer

ERROR_STRING: Final = bytes.fromhex("08c379a0")  # Error(string)
PANIC: Final = bytes.fromhex("4e487b71")  # Panic(uint256)
MAX_REASON: Final = 1_000
_HEX: Final = re.compile(r"0x(?:[0-9a-f]{2})*", re.IGNORECASE)
_WORDS: Final = re.compile(
    r"(?:reverted with reason string '(?P<quoted>.*)'"
    r"|(?:execution )?revert(?:ed)?(?:: | with reason:? | )(?P<bare>.+))",
    re.IGNORECASE | re.DOTALL,
)


def reason_of(data: bytes) -> str:
    """The bare reason in revert data.

    ``Error(string)``'s text, ``Panic(0x11)``, a custom error's selector as hex, or nothing.
    """
    selector, rest = data[:4], data[4:]
    if selector == ERROR_STRING and (text := _string(rest)) is not None:
        return text
    if selector == PANIC and len(rest) == 32:
        return f"Panic(0x{int.from_bytes(rest):02x})"
    return "0x" + selector.hex() if data else ""


def reverted(data: bytes, message: str = "") -> Answer:
    """The answer to a call that reverted."""
    if data:
        return Answer(data, error=reason_of(data))
    return Answer(error=_reason_in_words(message))


def reverted_with(error: Any) -> Answer:
    """The answer to a call that reverted, out of a JSON-RPC error object or its bare message."""
    if not isinstance(error, dict):
        return Answer(error=str(error).removeprefix("execution reverted").removeprefix(": "))
    return reverted(revert_data(error.get("data")), str(error.get("message", "")))


def revert_data(raw: Any) -> bytes:
    """Revert data as nodes wrap it: hex, words that end in hex, or an object that holds it."""
    if isinstance(raw, dict):
        return next(
            (data for key in ("data", "result") if (data := revert_data(raw.get(key)))), b""
        )
    if isinstance(raw, str):
        text = raw.strip()
        tail = text.rpartition(" ")[2] if text.lower().startswith("revert") else text
        if _HEX.fullmatch(tail):
            return bytes.fromhex(tail[2:])
    return b""


def _reason_in_words(message: str) -> str:
    found = _WORDS.search(message)
    if found is None:
        return ""
    words = _printable((found["quoted"] or found["bare"] or "").strip())
    return "" if words.lower() in ("without a reason", "without a reason string") else words


def _string(encoded: bytes) -> str | None:
    """The string of ABI-encoded ``(string)``, if it is well formed."""
    offset = int.from_bytes(encoded[:32])
    if len(encoded) < 64 or offset > len(encoded) - 32:
        return None
    length = int.from_bytes(encoded[offset : offset + 32])
    if length > len(encoded) - offset - 32:
        return None
    return _printable(encoded[offset + 32 : offset + 32 + length].decode("utf-8", "replace"))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:MAX_REASON])
