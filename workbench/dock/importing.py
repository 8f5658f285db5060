"""The job `import`: a published checkpoint becomes an encoder that every job takes."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import ValidationError

from workbench.dock.checkpoint import read_checkpoint, without_wrappers
from workbench.dock.config import ImportConfig
from workbench.dock.inputs import inputs_of_import, preparation
from workbench.dock.table import FORMATS, Format
from workbench.dock.translate import Read, read_as
from workbench.dock.translation import Asked
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.contract import pooled_words
from workbench.model.export import EncoderCard, Origin, save_encoder
from workbench.prepare import preparation_fingerprint
from workbench.prepare.fingerprint import scan_settings
from workbench.runs import Run, finished, start_run


def run_import(config: ImportConfig, *, overwrite: bool = False) -> Run:
    """``model/`` with the encoder and its card, and the table ``keys``: each tensor of the checkpoint, whether it was
    taken or left, as what or why.

    Raises:
        WorkbenchError: the checkpoint cannot be read without pickle, or is not of this form; it says which is nearest.
    """
    form = FORMATS[config.format]
    if not config.weights.is_file():
        raise WorkbenchError(f"{config.weights}: no such file", remedy="give the published checkpoint")
    prepared = preparation(config)
    people = () if config.people is None else people_of(config)
    inputs = inputs_of_import(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    read = _read(config, form, enlargements(config, form, prepared.spacing))
    known = config.people is not None or config.seen == "nobody_here"
    card = EncoderCard(
        config=read.shape,
        preparation=preparation_fingerprint(prepared),
        spacing=prepared.spacing,
        participants=people,
        scans=(),
        objective=f"imported {form.title}",
        steps=0,
        seed=0,
        simulated=False,
        prepare=scan_settings(prepared),
        origin=Origin(form.name, config.source, config.licence, inputs["weights"], known),
    )
    words = told(card, form)
    with start_run(
        config,
        overwrite=overwrite,
        inputs=inputs,
        format=form.name,
        preparation=card.preparation,
        simulated=False,
        people_known=known,
        inside=read.inside.rstrip("."),
        told=words,
    ) as run:
        run.write_table("keys", pd.DataFrame(read.keys))
        save_encoder(run.path / "model", read.weights, card)
    return run


def _read(config: ImportConfig, form: Format, enlarge: list[int]) -> Read:
    """The checkpoint, enlarged by the first of these numbers that its architecture takes."""
    base = {"format": form.name, "title": form.title, "intensities": config.intensities or form.intensities}
    tensors, wrong = without_wrappers(read_checkpoint(config.weights)), []
    for times in enlarge:
        asked = Asked({**base, "enlarge": times}, config.image_size, config.heads)
        try:
            return read_as(form, tensors, asked, inside=config.inside, leave=config.leave)
        except ValidationError as error:
            wrong.append("; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors())[:300])
    raise ConfigError(
        f"{config.weights}: no encoder can be made of it so",
        cause=wrong[-1],
        remedy="see --image_size, --heads, --enlarge and --spacing",
    )


def enlargements(config: ImportConfig, form: Format, spacing: float) -> list[int]:
    """Its voxels along each edge of a prepared one: as set, or what comes nearest to what it was trained on, first."""
    if config.enlarge is not None:
        return [config.enlarge]
    wanted = max(1, min(8, round(spacing / form.spacing))) if form.spacing else 1
    return list(range(wanted, 0, -1))


def people_of(config: ImportConfig) -> tuple[str, ...]:
    """Everybody that the file of people names.

    Raises:
        ConfigError: it cannot be read, is empty, or holds lines that are no ``dataset/participant``.
    """
    assert config.people is not None
    try:
        lines = [line.strip() for line in config.people.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config.people}: cannot be read", cause=str(error)[:200]) from error
    if bad := [line for line in lines if line.count("/") != 1 or line.startswith("/") or line.endswith("/")]:
        raise ConfigError(
            f"{config.people}: {len(bad)} lines name nobody",
            cause=f"for example '{bad[0][:80]}'",
            remedy="write dataset/participant, as the cohort's column `participant` has it, one a line",
        )
    if not lines:
        raise ConfigError(f"{config.people}: names nobody", remedy="leave --people out where nobody is known")
    return tuple(sorted(set(lines)))


def told(card: EncoderCard, form: Format) -> list[str]:
    """What whoever imports it should know, in sentences."""
    config: Any = card.config
    own = card.spacing / config.enlarge
    words = [f"It is given {config.wants}, in voxels of {own:g} mm."]
    if form.spacing and abs(own / form.spacing - 1) > 0.05:
        times = f"{form.spacing / own:.2g}"
        words.append(f"It was trained on voxels of {form.spacing:g} mm: brains look {times} times as large to it.")
    if config.enlarge > 1:
        words.append(f"Prepared voxels of {card.spacing:g} mm are made {config.enlarge} times as fine, without detail.")
    if pooled := pooled_words(config):
        words.append(pooled[0].upper() + pooled[1:] + ".")
    if card.people_unknown:
        words.append("Nobody lists whom it has seen: every test with it is possibly transductive, and says so.")
    if card.origin is not None and card.origin.licence == "not stated":
        words.append(f"Licence not stated. Its authors: {form.licence}.")
    return words
