"""Checkpoints: what they build, what they are refused for, and files that are none."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from rmtools.errors import InputError, LeakError, RecipeError
from rmtools.layouts.maps import open_maps
from rmtools.splits.manifest import SplitSet, make_manifest, read_manifest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from fakes_models import GAN, TWO  # noqa: E402
from rmtools.models.pretrained import read_weights  # noqa: E402
from rmtools.models.training import (  # noqa: E402
    Machine,
    Training,
    TrainingResult,
    check_matches,
    load_checkpoint,
    train,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def whole(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    asked = Training(TWO, tiny_dataset, task="sparse", changes={"steps": 2})
    return train(asked, tmp_path_factory.mktemp("runs") / "whole", Machine(accelerator="cpu"))


def test_a_checkpoint_builds_the_model_it_is_of(whole: TrainingResult) -> None:
    found = load_checkpoint(whole.folder)
    model = found.build(TWO)
    assert not model.training
    state = model.state_dict()
    assert state.keys() == found.weights.keys()
    assert all(torch.equal(state[name], found.weights[name]) for name in state)
    assert model.convention == found.info.setup.convention
    with pytest.raises(RecipeError, match=r"a model of your own.*--model"):
        found.build()
    with pytest.raises(RecipeError, match="not of"):
        found.build(GAN)


def test_other_datasets_and_splits_are_refused_unless_forced(
    whole: TrainingResult, tiny_dataset: Path, tmp_path: Path
) -> None:
    from fakes_store import make_store

    from rmtools.layouts.packed import pack

    found, split = load_checkpoint(whole.folder), read_manifest(tiny_dataset / "split.json")
    source, kind = open_maps(tiny_dataset), "pathloss_static"
    assert check_matches(found, source, kind, split, "test") == []
    pack(source, tmp_path / "packed")  # the same maps in another layout
    assert check_matches(found, open_maps(tmp_path / "packed"), kind, split, "test") == []
    for subset in ("train", "val"):
        with pytest.raises(LeakError, match="was used to train it"):
            check_matches(found, source, kind, split, subset)
    scenes = source.scene_names
    other = make_manifest(
        {
            "train": SplitSet(scenes=scenes[:3], sequences=12),
            "test": SplitSet(scenes=scenes[3:], sequences=12),
        },
        name="other",
        method="random",
        description="for a test",
        dataset="x",
        leaky=False,
    )
    with pytest.raises(LeakError, match=r"the split 'random'.*'other'.*--force"):
        check_matches(found, source, kind, other, "test")
    with pytest.raises(RecipeError, match="was trained on"):
        check_matches(found, source, "pathloss", split, "test")
    make_store(tmp_path / "made up", n=64, scenes=2, tx=2)
    made_up = open_maps(tmp_path / "made up")
    with pytest.raises(RecipeError, match=r"made-up dataset.*--force"):
        check_matches(found, made_up, "pathloss", split, "test")
    forced = check_matches(found, made_up, "pathloss", other, "test", force=True)
    assert len(forced) == 2


def test_foreign_and_broken_files_are_named(whole: TrainingResult, tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    good = whole.checkpoint.read_bytes()

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.system, (f"touch {tmp_path}/harm",))

    torch.save({"info": Evil()}, tmp_path / "evil.ckpt")
    contents = {
        "empty": b"",
        "text": b"weights",
        "cut": good[: len(good) // 2],
        "pickle": (tmp_path / "evil.ckpt").read_bytes(),
    }
    for content in contents.values():
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"best\.ckpt: not readable as a checkpoint"):
            load_checkpoint(path)
    assert not (tmp_path / "harm").exists()
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb,
        zipfile.ZipFile(whole.checkpoint) as sound,
    ):
        for member in sound.namelist():  # a good one, packed: torch would unpack it
            bomb.writestr(member, sound.read(member))
    assert torch.load(path, weights_only=True)["info"]
    with pytest.raises(InputError, match=r"not readable as a checkpoint \(ValueError"):
        load_checkpoint(path)
    with pytest.raises(InputError, match="its members are packed"):
        read_weights(path)
    torch.save({"info": "{}", "weights": {}}, path)
    with pytest.raises(InputError, match="no checkpoint of this version"):
        load_checkpoint(tmp_path)
    with pytest.raises(InputError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.ckpt")
    state = torch.load(whole.checkpoint, weights_only=True)
    del state["weights"]["first.0.weight"]
    torch.save(state, path)
    with pytest.raises(InputError, match=r"do not fit the model Two .*first\.0\.weight"):
        load_checkpoint(path).build(TWO)
