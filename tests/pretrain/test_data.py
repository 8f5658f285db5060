"""What the student sees, and what the teacher sees."""

import numpy as np
import torch

from workbench.prepare.store import Store
from workbench.pretrain.data import MicroBatches, on_device


def batch(study, tmp_path, **views):
    config = study.pretrain(tmp_path / "never", views={"local_crops": 1, "local_size": 8, **views})
    store = Store(study.store)
    raw = MicroBatches(store, np.arange(len(store.scan_ids), dtype=np.int32), config, size=2)[3]
    return on_device(raw, config, torch.device("cpu"))


def test_another_contrast_is_for_the_student_alone(study, tmp_path):
    """The teacher's views, which are also what is rebuilt, and the filling of the masks stay as they were."""
    same, other = batch(study, tmp_path), batch(study, tmp_path, contrast=1.0)
    assert torch.equal(same.clean, other.clean) and torch.equal(same.masks, other.masks)
    torch.testing.assert_close(same.corrupted[same.masks], other.corrupted[same.masks])
    seen = ~same.masks & (same.clean != 0)
    assert (same.corrupted[seen] - other.corrupted[seen]).abs().mean() > 0.1
    assert not torch.equal(same.local, other.local)
    first, second = (other.corrupted[view, 0][seen[view, 0]] for view in (0, 1))
    was = [same.corrupted[view, 0][seen[view, 0]] for view in (0, 1)]
    # every view has a curve of its own: equal intensities before are not equal after in both views
    curves = [
        np.interp([-1.0, 0.0, 1.0], a.sort().values.numpy(), b[a.argsort()].numpy())
        for a, b in zip(was, (first, second), strict=True)
    ]
    assert np.abs(curves[0] - curves[1]).max() > 0.05
