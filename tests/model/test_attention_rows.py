"""Rows read out beside the fused pass against the explicit N×N matrix."""

import pytest
import torch

from workbench.model import Encoder, EncoderConfig
from workbench.model import attention as module
from workbench.model.attention import attention_rows, look, one_token, rollout_row, token_count

CONFIG = EncoderConfig(preset="micro", image_size=16, patch=8, registers=2)


@pytest.fixture(scope="module", params=["learned", "rotary"])
def encoder(request):
    torch.manual_seed(0)
    made = Encoder(CONFIG.model_copy(update={"positions": request.param})).eval()
    for parameter in made.parameters():  # attention of fresh weights is nearly uniform: make it differ
        if parameter.ndim > 1:
            parameter.data *= 4
    return made


@pytest.fixture(scope="module")
def volume():
    return torch.randn(2, 1, 16, 24, 16, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def matrices(encoder, volume):
    """The explicit attention of every block, (B, H, N, N), written out independently."""
    x, grid = encoder.tokenise(volume)
    angles = encoder.angles(grid, x.device)
    out = []
    for block in encoder.blocks:
        q, k, _ = block.attn.placed(block.attn.qkv(block.norm1(x)), angles).chunk(3, dim=-1)
        q, k = (t.unflatten(2, (CONFIG.heads, -1)).transpose(1, 2) for t in (q, k))
        out.append(((q @ k.transpose(2, 3)) / q.shape[-1] ** 0.5).softmax(-1))
        x = block(x, angles=angles)
    return out, encoder.norm(x)


def test_the_rows_are_the_attention_that_the_fused_pass_uses(encoder, volume):
    """softmax(qk)·v from the rows gives what scaled_dot_product_attention gives for CLS."""
    attention = encoder.blocks[0].attn
    with torch.no_grad():
        x, grid = encoder.tokenise(volume)
        x, angles = encoder.blocks[0].norm1(x), encoder.angles(grid, x.device)
        v = attention.qkv(x).chunk(3, dim=-1)[2].unflatten(2, (CONFIG.heads, -1)).transpose(1, 2)
        by_rows = (attention_rows(encoder, volume, [0], block=0) @ v).transpose(1, 2).flatten(2)
        torch.testing.assert_close(attention.proj(by_rows)[:, 0], attention(x, angles)[:, 0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("block", [0, 3, -1])
def test_rows_equal_the_explicit_matrix(encoder, volume, block):
    full, _ = matrices(encoder, volume)
    rows = attention_rows(encoder, volume, [0, 2, 7], block=block)  # CLS, a register, a patch
    assert full[block].std() > 0.01
    torch.testing.assert_close(rows, full[block][:, :, [0, 2, 7]], atol=1e-5, rtol=0)


def test_a_region_is_the_mean_of_its_rows_whatever_the_chunks(encoder, volume, monkeypatch):
    full, _ = matrices(encoder, volume)
    weights = torch.zeros(1, token_count(encoder, volume))
    weights[0, [4, 5, 9]] = torch.tensor([0.5, 0.25, 0.25])
    expected = full[2][:, :, [4]] / 2 + full[2][:, :, [5]] / 4 + full[2][:, :, [9]] / 4
    torch.testing.assert_close(look(encoder, volume, weights, block=2).rows_BHQN, expected, atol=1e-5, rtol=0)
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)  # one row at a time
    torch.testing.assert_close(look(encoder, volume, weights, block=2).rows_BHQN, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("query", [0, 6])
def test_rollout_equals_the_product_of_the_explicit_matrices(encoder, volume, query, monkeypatch):
    full, _ = matrices(encoder, volume)
    eye = torch.eye(full[0].shape[-1])
    product = eye
    for a in full:
        product = (a.mean(1) + eye) / 2 @ product
    torch.testing.assert_close(rollout_row(encoder, volume, query), product[:, query], atol=1e-5, rtol=0)
    monkeypatch.setattr(module, "CHUNK_BYTES", 4096)
    torch.testing.assert_close(rollout_row(encoder, volume, query), product[:, query], atol=1e-5, rtol=0)
    assert torch.allclose(rollout_row(encoder, volume, query).sum(1), torch.ones(2), atol=1e-5)


def test_the_pass_is_the_plain_forward_pass(encoder, volume):
    _, tokens = matrices(encoder, volume)
    seen = look(encoder, volume, one_token(0, token_count(encoder, volume))[None])
    torch.testing.assert_close(encoder.norm(seen.stream_BND), tokens)
    with torch.no_grad():
        torch.testing.assert_close(encoder.norm(seen.stream_BND)[:, 0], encoder(volume).cls_BD)


def test_without_qkv_bias_and_a_missing_block():
    torch.manual_seed(0)
    plain = Encoder(EncoderConfig(preset="micro", image_size=16, patch=8, qkv_bias=False)).eval()
    volume = torch.randn(1, 1, 16, 16, 16)
    full, _ = matrices(plain, volume)
    row = attention_rows(plain, volume, [0], block=1)[:, :, 0]
    torch.testing.assert_close(row, full[1][:, :, 0], atol=1e-5, rtol=0)
    with pytest.raises(IndexError):
        attention_rows(plain, volume, [0], block=6)


def test_a_row_takes_no_more_memory_than_twice_itself():
    """Beyond the plain pass; the whole matrices would take 400 times as much."""
    from benchmarks.attention import peak_bytes

    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(preset="micro", image_size=48, patch=8)).eval()
    volume = torch.randn(1, 1, 48, 48, 48)
    cls = one_token(0, token_count(encoder, volume))[None]
    with torch.no_grad():
        plain = peak_bytes(lambda: encoder(volume))
    for block in (0, -1):
        row = look(encoder, volume, cls, block=block).rows_BHQN
        assert peak_bytes(lambda b=block: look(encoder, volume, cls, block=b)) - plain <= 2 * row.nbytes
    assert not any(block.attn.placed._forward_hooks for block in encoder.blocks)  # nothing stays behind


def test_hooks_are_gone_after_an_error(encoder, volume, monkeypatch):
    monkeypatch.setattr(module, "rows_of", None)
    with pytest.raises(TypeError):
        attention_rows(encoder, volume, [0])
    assert not any(block.attn.placed._forward_hooks for block in encoder.blocks)
