"""The job `predict`: a model applied to scans that no store holds."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from workbench.errors import ConfigError, ScanError
from workbench.predict.classifier import ScanClassifier, load_classifier
from workbench.predict.config import PredictConfig
from workbench.predict.encoder import ScanEncoder, load_encoder
from workbench.predict.given import Files, list_scans
from workbench.predict.models import kind_of
from workbench.predict.segmenter import ScanSegmenter, load_segmenter
from workbench.prepare.fingerprint import contrasts_in
from workbench.runs import Run, digest_file, digest_text, finished, start_run
from workbench.runs.parts import Rows, over_scans
from workbench.runs.spread import shard
from workbench.volumes import Volume, write_volume
from workbench.volumes.given import Given, stem

Model = ScanEncoder | ScanSegmenter | ScanClassifier


def run_predict(config: PredictConfig, *, overwrite: bool = False) -> Run:
    """Apply a model to each scan; what a scan gets lies in its own space. The tables go by the kind of the model.

    - ``volumes`` (segmentation): scan_id, structure, volume_ml, file; ``volumes/<scan>_dseg.nii.gz``;
    - ``predictions`` (classifier): scan_id, target, predicted, and p_<class> for each class;
    - ``embeddings`` (encoder): scan_id, cls, patch_mean; with ``query`` also ``maps`` and attention maps;
    - ``set_aside``: scans that could not be used, with cause and remedy.

    Each row has the ``path`` of the scan (of its first contrast), ``mask`` (what was taken for the brain) and
    ``learnt_from``: whether the model has learnt from this very file, so that its answer may be memory; for a model of
    several contrasts also ``contrasts``, those that this person has.

    Raises:
        WorkbenchError: no such model, no such scans, or none of them can be used.
    """
    model = load_any(config)
    contrasts = contrasts_in(model.preparation.settings)
    _require_contrasts(config, contrasts)
    scans = named(list_scans(config.scans, contrasts))
    files = [path for scan in scans.values() for path in scan.values() if path]
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise ConfigError(f"{missing[0]}: no such file", cause=f"{len(missing)} of {len(files)} files are not there")
    if config.masks and len(config.masks) != len(scans):
        raise ConfigError(
            f"masks: {len(config.masks)} for {len(scans)} scans", remedy="name the scans' files, and a mask for each"
        )
    mine = shard()
    digests = {scan: _digest(scans[scan]) for scan in (scans if mine is None else mine.scans)}
    masks = dict(zip(scans, config.masks, strict=True)) if config.masks else {}
    inputs = {"model": _content(model)}
    if mine is None:  # a shard knows its own scans, and the digests of all take hours of reading
        inputs["scans"] = digest_text(*(digest for of in digests.values() for digest in of))
        inputs["masks"] = digest_text(*(digest_file(path) for path in masks.values()))
    if not overwrite and (done := finished(config, inputs)):
        return done
    facts = {
        "model": config.model,
        "preparation": model.card.preparation,
        "simulated": model.card.simulated,
        "kind": type(model).__name__,
    }
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        work, tables = _work(model, config, run)
        learnt = set(model.card.scans)

        def rows(scan: str) -> Rows:
            found = work(scan, _as_given(scans[scan], config), masks.get(scan))
            told = {"path": str(first_of(scans[scan])), "learnt_from": digests[scan][0] in learnt}
            if len(contrasts) > 1:
                told["contrasts"] = "+".join(name for name, path in scans[scan].items() if path)
            return {table: [{**row, **told} for row in some] for table, some in found.items()}

        over_scans(run, list(scans), rows, tables, config, desc="predict")
        run.note(scans=len(scans))
    return run


def load_any(config: PredictConfig) -> Model:
    """The model that the settings name; settings that its kind would not read are refused."""
    kind = kind_of(config.model)
    if config.query and kind != "encoder":
        raise ConfigError("query: only for an encoder", cause=f"{config.model} is a {kind}", remedy="leave it out")
    if config.probabilities and kind != "segmenter":
        raise ConfigError(
            "probabilities: only for a segmentation", cause=f"{config.model} is a {kind}", remedy="leave it out"
        )
    if kind == "segmenter":
        return load_segmenter(config.model, device=config.accelerator)
    if kind == "classifier":
        return load_classifier(config.model, device=config.accelerator)
    return load_encoder(config.model, device=config.accelerator)


def named(scans: list[Files]) -> dict[str, Files]:
    """A name a scan: of its first file, with as many of the folders above as tell all apart.

    Raises:
        ConfigError: a file is given twice.
    """
    whole = [first_of(scan).absolute() for scan in scans]
    if twice := [str(path) for path, n in Counter(whole).items() if n > 1]:
        raise ConfigError(f"{twice[0]}: given twice", remedy="name each scan once")
    for folders in range(max((len(path.parts) for path in whole), default=1)):
        names = [safe("_".join([*path.parts[:-1][len(path.parts) - 1 - folders :], stem(path)])) for path in whole]
        if len(set(names)) == len(names):
            return dict(zip(names, scans, strict=True))
    raise ConfigError("the scans cannot be told apart by their names", remedy="give them in several runs")


def first_of(scan: Files) -> Path:
    """The file of the first contrast, which is always there."""
    path = next(iter(scan.values()))
    assert path is not None
    return path


def _require_contrasts(config: PredictConfig, takes: tuple[str, ...]) -> None:
    if config.contrast and set(config.contrast) != set(takes):
        raise ConfigError(
            f"contrast: {config.model} takes {'+'.join(takes)}",
            cause=f"asked for {'+'.join(config.contrast)}",
            remedy="leave --contrast out: the model knows what it takes",
        )


def _as_given(scan: Files, config: PredictConfig) -> Given:
    """A scan as a model takes it: a file, or several by contrast."""
    if lacking := [name for name, path in scan.items() if path is None and config.missing_channel == "drop"]:
        raise ScanError(
            f"{first_of(scan)}: no {' and no '.join(lacking)}",
            cause=f"the model takes {'+'.join(scan)}",
            remedy="--missing_channel zero takes it all the same, with zeros in their place",
        )
    return scan if len(scan) > 1 else first_of(scan)


def _digest(scan: Files) -> list[str]:
    """Of each file, the first contrast's first."""
    return ["" if path is None else digest_file(path) for path in scan.values()]


def safe(name: str) -> str:
    """A file name that stays in its folder."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return kept.lstrip(".") or "scan"


def _content(model: Model) -> str:
    """What the answers depend on: the card and every weight."""
    whole = hashlib.blake2b(repr(model.card).encode(), digest_size=16)
    network = model.model if isinstance(model, ScanSegmenter) else model.network
    arrays = {} if network is None else {name: w.detach().cpu().numpy() for name, w in network.state_dict().items()}
    if isinstance(model, ScanClassifier):
        arrays |= model.arrays
    for name, array in arrays.items():
        whole.update(name.encode())
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


def _told(given: Given) -> str | dict[str, str | None]:
    """The files of a scan, for a sidecar."""
    if isinstance(given, Mapping):
        return {name: None if path is None else str(path) for name, path in given.items()}
    return str(given)


def _work(model: Model, config: PredictConfig, run: Run) -> tuple[Callable[[str, Given, Path | None], Rows], list[str]]:
    """What is done with a scan, and the tables that it fills."""

    def segment(scan: str, given: Given, mask: Path | None) -> Rows:
        assert isinstance(model, ScanSegmenter)
        ready = model.prepare(given, mask=mask)
        image = model.predict(ready)
        codes = np.asarray(image.dataobj)
        file = f"volumes/{scan}_dseg.nii.gz"
        told = {"model": config.model, "source": _told(given), "simulated": model.card.simulated}
        write_volume(run.path / file, Volume(codes, ready.source.affine), sidecar={**told, "codes": model.codes})
        if config.probabilities:
            for name, map_ in model.probabilities(ready).items():
                values = Volume(np.asarray(map_.dataobj), ready.source.affine)
                there = run.path / "volumes" / f"{scan}_desc-{name}_probseg.nii.gz"
                write_volume(there, values, sidecar={**told, "unit": "probability, not calibrated"})
        ml = abs(float(np.linalg.det(ready.source.affine[:3, :3]))) / 1000
        return {
            "volumes": [
                {
                    "scan_id": scan,
                    "structure": name,
                    "volume_ml": float((codes == code).sum() * ml),
                    "file": file,
                    "mask": ready.mask,
                }
                for name, code in model.codes.items()
            ]
        }

    def classify(scan: str, given: Given, mask: Path | None) -> Rows:
        assert isinstance(model, ScanClassifier)
        found = model.predict(given, mask=mask)
        row = {"scan_id": scan, "target": found.target, "predicted": found.predicted, "mask": found.mask}
        return {"predictions": [{**row, **{f"p_{name}": p for name, p in found.probabilities.items()}}]}

    def embed(scan: str, given: Given, mask: Path | None) -> Rows:
        assert isinstance(model, ScanEncoder)
        ready = model.prepare(given, mask=mask)
        found = model.embed(ready)
        rows: Rows = {
            "embeddings": [
                {"scan_id": scan, "cls": found.cls, "patch_mean": found.patch_mean, "mask": found.mask},
            ]
        }
        if config.query:
            file = f"volumes/{scan}_desc-attnmean_map.nii.gz"
            image = model.attention(ready, config.query)
            write_volume(
                run.path / file,
                Volume(np.asarray(image.dataobj), ready.source.affine),
                sidecar={
                    "model": config.model,
                    "source": _told(given),
                    "query": config.query,
                    "block": "the last",
                    "unit": "times uniform",
                    "simulated": model.card.simulated,
                },
            )
            rows["maps"] = [{"scan_id": scan, "query": config.query, "file": file}]
        return rows

    if isinstance(model, ScanSegmenter):
        return segment, ["volumes"]
    if isinstance(model, ScanClassifier):
        return classify, ["predictions"]
    return embed, ["embeddings", "maps"] if config.query else ["embeddings"]
