import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.model import load_encoder
from workbench.model.encode import encode_scans, padded_box, whole_scan
from workbench.prepare import open_store

edge = st.integers(1, 60)


@given(shape=st.tuples(edge, edge, edge), patch=st.tuples(*[st.sampled_from([4, 8, 16])] * 3))
def test_padding_is_the_least_and_shared_by_both_ends(shape, patch):
    low, high = padded_box(shape, patch)
    extent = high - low
    assert (extent % patch == 0).all() and (extent - shape < patch).all() and (extent >= shape).all()
    before, after = -low, high - np.array(shape)
    assert (np.abs(before - after) <= 1).all() and (before >= 0).all()


def test_a_scan_embeds_alike_alone_and_among_others(study):
    store, (encoder, _) = open_store(study.store), load_encoder(study.encoder_run)
    together = {s: (c, m) for s, c, m in encode_scans(encoder, store, store.scan_ids[:4])}
    alone = next(encode_scans(encoder, store, [store.scan_ids[2]]))
    assert np.array_equal(together[alone[0]][0], alone[1]) and np.array_equal(together[alone[0]][1], alone[2])


def test_the_whole_scan_is_there_and_padding_is_background(study):
    store = open_store(study.store)
    scan = store.scan_ids[0]
    volume = whole_scan(store, scan, (8, 8, 8))
    assert all(n % 8 == 0 for n in volume.shape[2:]) and volume.dtype == torch.float32
    assert (volume != 0).sum() == (store.read(scan) != 0).sum()
