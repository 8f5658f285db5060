"""One spelling for a scanner: maker, model, field strength, whatever a sidecar or a table calls them."""

from __future__ import annotations

import re
from typing import Any

_MAKERS = (
    (r"siemens(?:[\s_-]+(?:healthineers|healthcare|medical(?:[\s_-]+(?:systems|solutions))?|ag))*", "Siemens"),
    (r"(?:ge|general electric)(?:[\s_-]+(?:medical[\s_-]+systems|healthcare|medical))*", "GE"),
    (r"philips(?:[\s_-]+(?:medical(?:[\s_-]+systems)?|healthcare))*", "Philips"),
    (r"(?:toshiba(?:[\s_-]+mec)?|canon(?:[\s_-]+medical)?(?:[\s_-]+systems)?)", "Canon"),
    (r"(?:uih|united imaging(?:[\s_-]+healthcare)?)", "United Imaging"),
    (r"hitachi(?:[\s_-]+medical(?:[\s_-]+corporation)?)?", "Hitachi"),
)
_MODELS = ((r"magnetom\s+", ""), (r"\b(?:trio\s*tim|tim\s*trio)\b", "Trio Tim"), (r"\bskyra[\s_-]?fit\b", "Skyra fit"))
_FIELD = re.compile(r"(?<![\d.])(\d{1,2}(?:[.,]\d+)?)\s*-?\s*t(?:esla)?\b", re.IGNORECASE)
FIELDS = (0.05, 0.2, 0.3, 0.35, 0.5, 0.55, 1.0, 1.5, 3.0, 4.0, 4.7, 7.0, 9.4, 10.5, 11.7)


def scanner_text(text: str) -> str:
    """ "SIEMENS TrioTim 3.0 Tesla", "Siemens Healthineers MAGNETOM TrioTim, 3T" → "Siemens Trio Tim 3T"."""
    out = re.sub(r"[\s_]+", " ", text.strip())
    for fits, maker in _MAKERS:
        if found := re.match(rf"{fits}(?![a-z])", out, re.IGNORECASE):
            rest = re.sub(rf"^{fits}(?![a-z])[\s,;]*", "", out[found.end() :].lstrip(" ,;"), flags=re.IGNORECASE)
            out = f"{maker} {rest}".strip()
            break
    for fits, model in _MODELS:
        out = re.sub(fits, model, out, flags=re.IGNORECASE)
    if (fields := _FIELD.findall(out)) and len(fields) == 1 and (field := field_text(fields[0])):
        out = re.sub(r"\s*[,;]\s*(?=\S+$)", " ", _FIELD.sub(field, out))
    # makers shout some models: DISCOVERY MR750
    out = re.sub(r"\b[A-Z]{5,}\b", lambda word: word[0].capitalize(), out)
    return re.sub(r"\s+", " ", out)


def field_text(value: Any) -> str:
    """A field strength in tesla as scanners are called: 2.89362 → "3T", "1.494" → "1.5T", 30000 (gauss) → "3T"."""
    try:
        field = float(re.sub(r"\s*t(esla)?$", "", str(value).strip(), flags=re.IGNORECASE).replace(",", "."))
    except ValueError:
        return ""
    field = field / 10_000 if field > 100 else field
    if not 0.01 <= field <= 25:
        return ""
    near = min(FIELDS, key=lambda known: abs(known - field))
    return f"{near if abs(near - field) <= 0.06 * near else round(field, 2):g}T"


def scanner_of(sidecar: dict[str, Any]) -> str:
    """Maker, model and field of a BIDS sidecar, as one text; "" where it names none."""
    maker, model = (str(sidecar.get(key) or "").strip() for key in ("Manufacturer", "ManufacturersModelName"))
    if maker and model.lower().startswith(maker.lower()):
        model = model[len(maker) :].strip()
    field = field_text(sidecar["MagneticFieldStrength"]) if "MagneticFieldStrength" in sidecar else ""
    return " ".join(part for part in (scanner_text(f"{maker} {model}"), field) if part)
