"""A fine-tuned label or number of the person, predicted from one scan."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workbench.engine.device import pick_device
from workbench.errors import WorkbenchError
from workbench.finetune.export import DRAWN, ClassifierCard
from workbench.finetune.predictors import small_pictures, votes_of
from workbench.finetune.train_classifier import build_classifier, output_of, padding_of
from workbench.html import facts_table
from workbench.model.contract import AnyEncoder
from workbench.model.encode import whole_scan
from workbench.model.export import load_encoder as load_network
from workbench.model.inputs import encoder_digest
from workbench.predict.models import find_model, fresh_architecture, load_weights
from workbench.predict.scans import Given, Preparation, PreparedScan, TakesScans, folder_of
from workbench.runs import Run
from workbench.runs.folder import from_there


@dataclass(frozen=True)
class Prediction:
    """What a model says of a person."""

    target: str
    predicted: str | float
    """The class, or the number."""
    probabilities: dict[str, float]
    """Of each class; empty for a number. With ``balance`` they are those of evenly frequent classes."""
    mask: str
    """What was taken for the brain, in words."""


class ScanClassifier(TakesScans):
    """A classifier (or a regression) with the preparation that its input must have. Make it with ``load_classifier``.

    Attributes:
        card: What it was trained on, and whom it has seen.
        classes: In the order of the probabilities; empty for a number.
        device: Where it computes.
    """

    def __init__(
        self,
        card: ClassifierCard,
        weights: dict[str, Tensor],
        preparation: Preparation,
        frozen: AnyEncoder | None,
        *,
        who: str,
        device: str,
    ) -> None:
        self.card, self.device, self.preparation = card, device, preparation
        self.classes = card.classes
        self.network: nn.Module | None = None
        self.drawn: nn.Module | None = None
        self.encoder: AnyEncoder | None = None
        self.arrays: dict[str, np.ndarray] = {}
        encoder = fresh_architecture(card.encoder)
        if card.mode in ("full", "cnn"):
            outputs = 1 if card.task == "regression" else len(card.classes)
            self.network = build_classifier(encoder, outputs, card, len(card.contrasts)).to(device).eval()
            load_weights(self.network, weights, who)
        else:
            if card.mode == "untrained_cnn":
                drawn = {k.removeprefix(DRAWN): v for k, v in weights.items() if k.startswith(DRAWN)}
                weights = {k: v for k, v in weights.items() if not k.startswith(DRAWN)}
                self.drawn = build_classifier(None, 1, card, len(card.contrasts)).to(device)
                load_weights(self.drawn, drawn, who)
            self.encoder = frozen.eval().to(device) if frozen is not None else None
            self.arrays = {k: v.numpy() for k, v in weights.items()}
        self._padding = padding_of(card.mode, encoder)

    def __repr__(self) -> str:
        c = self.card
        return f"ScanClassifier({c.target}: {', '.join(c.classes) or 'a number'}; {c.mode}, {c.spacing:g} mm)"

    def _repr_html_(self) -> str:
        c = self.card
        return facts_table(
            f"Classifier ({c.mode})",
            {
                "predicts": f"{c.target}: {', '.join(c.classes) or 'a number'}",
                "encoder": f"{c.init} weights ({c.objective})" if c.encoder else "none",
                "has learnt from": f"{len(c.participants)} people, pretraining included",
                "input": f"prepared at {c.spacing:g} mm, preparation {c.preparation}",
            },
            simulated=c.simulated,
        )

    @torch.no_grad()
    def predict(self, scan: Given | PreparedScan, *, mask: Given | None = None) -> Prediction:
        """Predict the label, or the number, of the person from a scan.

        Args:
            scan: A path, a nibabel image, ``(array, affine)``, or a prepared scan.
            mask: Brain mask, in the same world.

        Returns:
            The prediction with its probabilities. Not for diagnosis.

        Raises:
            ScanError: the scan cannot be used.
        """
        ready, card = self.prepare(scan, mask=mask), self.card
        if self.network is not None:
            volume = whole_scan(ready, ready.name, self._padding)
            found = self._of_network(output_of(self.network, volume, self.device, card.precision))
        else:
            found = self._of_features(self._features(ready))
        if card.task == "regression":
            return Prediction(card.target, float(found[0]), {}, ready.mask)
        # of two classes the second is positive, and a tie is not
        best = int(found[1] > 0.5) if len(card.classes) == 2 else int(found.argmax())
        return Prediction(
            card.target, card.classes[best], dict(zip(card.classes, map(float, found), strict=True)), ready.mask
        )

    @torch.no_grad()
    def score(self, volume_11XYZ: Tensor) -> float:
        """Probability of the second of two classes, of a padded prepared volume; of a trained network (full, cnn)."""
        assert self.network is not None
        return float(self._of_network(output_of(self.network, volume_11XYZ, self.device, self.card.precision))[1])

    def score_features(self, features: np.ndarray) -> float:
        """Probability of the second of two classes, of features ``(F,)``: CLS and mean of patch tokens of `linear`."""
        return float(self._of_features(features)[1])

    def _features(self, ready: PreparedScan) -> np.ndarray:
        if self.card.mode == "brain_volume":
            return np.array([float(ready.facts["brain_ml"])])
        if self.card.mode == "pca":
            return small_pictures(ready, ready.name)
        if self.drawn is not None:
            volume = whole_scan(ready, ready.name, self._padding)
            said: np.ndarray = output_of(self.drawn, volume, self.device, self.card.precision)[0].numpy()
            return said
        assert self.encoder is not None and self.card.encoder is not None
        tokens = self.encoder(whole_scan(ready, ready.name, self.card.encoder.patch_xyz).to(self.device))
        both = torch.cat([tokens.cls_BD[0].float(), tokens.patches_BPD[0].float().mean(0)])
        vector: np.ndarray = both.cpu().numpy()
        return vector

    def _of_network(self, output: Tensor) -> np.ndarray:
        if self.card.task == "regression":
            return self._number(output[0].numpy())
        return output.softmax(1)[0].numpy()

    def _number(self, z: np.ndarray) -> np.ndarray:
        """Of a z-score; none beyond what was learnt from."""
        low, high = self.card.lowest, self.card.highest
        return np.clip(z * self.card.spread + self.card.mean, -np.inf if low is None else low, high)

    def _of_features(self, features: np.ndarray) -> np.ndarray:
        a, card = self.arrays, self.card
        x = (features - a["standard_mean"]) / a["standard_scale"]
        if card.mode == "knn":
            similar = (x / max(float(np.linalg.norm(x)), 1e-9)) @ a["vectors"].T
            return votes_of(similar[None], a["truth"], a["weights"], card.neighbours, len(card.classes)).ravel()
        if card.mode == "pca":
            x = a["pca_components"] @ (x - a["pca_mean"])
            x = (x - a["pca_standard_mean"]) / a["pca_standard_scale"]
        out = a["coef"] @ x + a["intercept"]
        if card.task == "regression":
            return self._number(out)
        if len(card.classes) == 2:
            p = 1 / (1 + np.exp(-out[0]))
            return np.array([1 - p, p])
        raised = np.exp(out - out.max())
        return raised / raised.sum()


def load_classifier(
    model: str | os.PathLike[str] | Run,
    *,
    device: str = "auto",
    prepare: str | os.PathLike[str] | Run | None = None,
    encoder: str | os.PathLike[str] | Run | None = None,
) -> ScanClassifier:
    """Load a fine-tuned classifier (or regression) that can be applied to scans.

    Args:
        model: A classify run, or the ``model`` folder in it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        prepare: Store (or folder of one) that says how scans are prepared, in place of the model's own word.
        encoder: Where the frozen encoder of a `linear` or `knn` model is now, if not where it was.

    Raises:
        WorkbenchError: it is no classifier, is not finished, needs labels (structure_volume), or is damaged.
    """
    card, weights = find_model(model, "classifier", store=prepare)
    assert isinstance(card, ClassifierCard)
    who = str(folder_of(model))
    preparation = Preparation.of(card.preparation, card.spacing, card.prepare, who=who, store=prepare)
    frozen = None
    if card.encoder_at:
        frozen = _frozen(card, Path(who), encoder)
    return ScanClassifier(card, weights, preparation, frozen, who=who, device=pick_device(device))


def _frozen(card: ClassifierCard, model: Path, given: str | os.PathLike[str] | Run | None) -> AnyEncoder:
    """The encoder that a probe sits on, if its weights are those that it was fitted on."""
    reference = from_there(card.encoder_at, model) if given is None else folder_of(given)
    remedy = "give the encoder it was fitted on: encoder="
    try:
        network, found = load_network(reference, init=card.init, seed=card.seed)
        digest = encoder_digest(reference)
    except WorkbenchError as error:
        raise WorkbenchError(f"{model}: its encoder is not at hand", cause=error.what, remedy=remedy) from error
    if digest != card.encoder_digest or found.preparation != card.preparation:
        raise WorkbenchError(
            f"{reference}: is not the encoder that {model} was fitted on", cause="its weights differ", remedy=remedy
        )
    return network
