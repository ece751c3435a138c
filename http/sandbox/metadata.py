"""Metadata and its limits (https://docs.stripe.com/api/metadata): 50 keys of 40 characters, values of 500."""

from paywindow.sandbox.errors import invalid

_MAXIMUM_KEYS = 50
_MAXIMUM_KEY_LENGTH = 40
_MAXIMUM_VALUE_LENGTH = 500


def checked_metadata(given: dict[str, str], param: str = "metadata") -> dict[str, str]:
    """Metadata for a new object; keys with an empty value are left out."""
    for key, value in given.items():
        if len(key) > _MAXIMUM_KEY_LENGTH:
            raise invalid(f"Invalid metadata key {key}: must be at most {_MAXIMUM_KEY_LENGTH} characters", param)
        check_length(value, _MAXIMUM_VALUE_LENGTH, f"{param}[{key}]")
    kept = {key: value for key, value in given.items() if value}
    _check_count(kept, param)
    return kept


def merged_metadata(old: dict[str, str], given: dict[str, str] | str) -> dict[str, str]:
    """Metadata after an update: keys are merged, an empty value unsets its key, an empty string unsets all."""
    if isinstance(given, str):
        return {}
    checked_metadata(given)
    merged = {key: value for key, value in {**old, **given}.items() if value}
    _check_count(merged, "metadata")
    return merged


def check_length(value: str, maximum: int, param: str) -> None:
    """Refuse a text that is too long."""
    if len(value) > maximum:
        raise invalid(f"Invalid string: {value[:10]}...{value[-3:]}; must be at most {maximum} characters", param)


def _check_count(metadata: dict[str, str], param: str) -> None:
    if len(metadata) > _MAXIMUM_KEYS:
        raise invalid(f"Metadata can have up to {_MAXIMUM_KEYS} keys, you have {len(metadata)}.", param)
