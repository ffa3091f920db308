"""Swin: windows against a loop over pairs of tokens, names of other people's weights."""

from __future__ import annotations

import pytest
import torch
from rmtools.models.interface import count_parameters
from rmtools.models.pretrained import read_weights
from rmtools.models.swin import HEAD, SIZES, WINDOW, Merge, Swin, WindowAttention, renamed

from rmtools.errors import InputError


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # maps this small gain nothing from more
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("name", "count"),
    # those of the classifiers, less the last norm and the head of 1000 classes
    [
        ("base", 87_768_224 - 2 * 1024 - 1025 * 1000),
        ("tiny", 28_288_354 - 2 * 768 - 769 * 1000),
    ],
)
def test_counts_are_the_papers_models_without_classifier(name, count):
    with torch.device("meta"):
        assert count_parameters(Swin(SIZES[name])) == count


@pytest.mark.parametrize("size", [32, 64, 96])
def test_four_maps_of_falling_size(size):
    maps = Swin(SIZES["mini"])(torch.randn(1, 3, size, size))
    assert [tuple(x.shape) for x in maps] == [
        (1, 32 * 2**k, size // 2 ** (k + 2), size // 2 ** (k + 2)) for k in range(4)
    ]


def slow_attention(layer: WindowAttention, x: torch.Tensor) -> torch.Tensor:
    """Token by token, for one map of shape (h, w, width)."""
    h, w, width = x.shape
    rows, cols = (-(-side // WINDOW) * WINDOW for side in (h, w))
    padded = torch.zeros(rows, cols, width)
    padded[:h, :w] = x
    moves = [0 if side <= WINDOW else layer.shift for side in (rows, cols)]
    query, key, value = layer.ways(padded).unflatten(-1, (3, layer.heads, HEAD)).unbind(2)

    def place(at, length, move):
        moved = (at - move) % length
        return moved // WINDOW, moved % WINDOW, at < move  # window, place in it, went around

    everywhere = [(row, col) for row in range(rows) for col in range(cols)]
    places = {(r, c): (place(r, rows, moves[0]), place(c, cols, moves[1])) for r, c in everywhere}
    out = torch.zeros(h, w, width)
    for row in range(h):
        for col in range(w):
            mine = places[row, col]
            scores, values = [], []
            for other, theirs in places.items():
                if all(a[0] == b[0] and a[2] == b[2] for a, b in zip(mine, theirs, strict=True)):
                    apart = [a[1] - b[1] + WINDOW - 1 for a, b in zip(mine, theirs, strict=True)]
                    bias = layer.bias[apart[0] * (2 * WINDOW - 1) + apart[1]]
                    scores.append((query[row, col] * key[other]).sum(-1) / HEAD**0.5 + bias)
                    values.append(value[other])
            shares = torch.stack(scores).softmax(0)[..., None]
            out[row, col] = layer.out((shares * torch.stack(values)).sum(0).flatten())
    return out


@pytest.mark.parametrize(("h", "w", "shift"), [(7, 7, 0), (9, 8, 3), (4, 10, 3), (5, 5, 3)])
def test_windows_see_what_a_loop_over_pairs_of_tokens_sees(h, w, shift):
    torch.manual_seed(0)
    layer = WindowAttention(64, shift)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, h, w, 64)
    with torch.no_grad():
        found = layer(x)
        for one, expected in zip(found, x, strict=True):
            torch.testing.assert_close(one, slow_attention(layer, expected), rtol=1e-4, atol=1e-5)


def test_four_tokens_are_merged_column_by_column():
    layer = Merge(1)
    seen = []
    layer.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer(torch.arange(6.0).view(1, 2, 3, 1))
    assert seen[0][0, 0].tolist() == [[0.0, 3.0, 1.0, 4.0], [2.0, 5.0, 0.0, 0.0]]


TORCHVISION = {
    "features.0.0.weight": "patches.weight",
    "features.0.2.bias": "norm.bias",
    "features.1.1.attn.qkv.weight": "stages.0.1.attention.ways.weight",
    "features.2.reduction.weight": "merges.0.reduce.weight",
    "features.5.17.mlp.3.weight": "stages.2.17.mlp.2.weight",
    "features.5.17.mlp.0.bias": "stages.2.17.mlp.0.bias",
    "features.6.norm.weight": "merges.2.norm.weight",
    "features.7.0.attn.relative_position_bias_table": "stages.3.0.attention.bias",
    "features.7.0.norm2.weight": "stages.3.0.norm2.weight",
    "norm.weight": None,
    "head.bias": None,
}
TIMM = {
    "patch_embed.proj.weight": "patches.weight",
    "patch_embed.norm.bias": "norm.bias",
    "layers.0.blocks.1.attn.qkv.weight": "stages.0.1.attention.ways.weight",
    "layers.2.blocks.17.mlp.fc2.weight": "stages.2.17.mlp.2.weight",
    "layers.2.blocks.17.attn.proj.bias": "stages.2.17.attention.out.bias",
    "norm.weight": None,
    "head.fc.bias": None,
}
NEW = {f"layers.{k + 1}.downsample.reduction.weight": f"merges.{k}.reduce.weight" for k in range(3)}
OLD = {f"layers.{k}.downsample.reduction.weight": f"merges.{k}.reduce.weight" for k in range(3)}


@pytest.mark.parametrize("names", [TORCHVISION, TIMM | NEW, TIMM | OLD])
def test_weights_of_others_get_our_names(names):
    found = renamed({name: torch.tensor(float(k)) for k, name in enumerate(names)})
    expected = {own: float(k) for k, own in enumerate(names.values()) if own is not None}
    assert {name: value.item() for name, value in found.items()} == expected


def test_equals_torchvisions(tmp_path):
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    theirs = models.swin_t().eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    torch.save(theirs.state_dict(), tmp_path / "swin_t.pth")
    ours = Swin(SIZES["tiny"])
    ours.load(tmp_path / "swin_t.pth")
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        found = ours(x)
        for k, stage in enumerate(theirs.features):
            x = stage(x)
            if k % 2:
                torch.testing.assert_close(found[k // 2].permute(0, 2, 3, 1), x)


def test_files_that_are_something_else_are_refused(tmp_path):
    swin = Swin(SIZES["mini"])
    file = tmp_path / "weights.pth"
    with pytest.raises(InputError, match="no such file"):
        swin.load(file)
    file.write_bytes(b"no weights")
    with pytest.raises(InputError, match="no file of weights"):
        swin.load(file)
    torch.save([1, 2], file)
    with pytest.raises(InputError, match="no dict of tensors"):
        swin.load(file)
    torch.save({"features.0.0.weight": torch.zeros(1)}, file)
    with pytest.raises(InputError, match=r"'patches.weight' have the shape \(1,\)"):
        swin.load(file)
    torch.save({"model": {"a": torch.ones(2)}}, file)
    assert read_weights(file)["a"].tolist() == [1.0, 1.0]
