"""Training for dishes never seen: the head first, the same weights after a cut, and what is drawn."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hw_xai.errors import UserError
from hw_xai.training.recipe import BroadRecipe
from hw_xai.vision import broad
from hw_xai.vision.broad import epoch_rows, found_by_dish, scores_of, train_broad
from hw_xai.vision.networks import FoodNet, load
from hw_xai.vision.photos import Photo

TINY = BroadRecipe(start="nothing", probe_epochs=1, epochs=1, batch_size=8, train_size=32, eval_size=32)


def photos(n: int, weight: float = 1.0) -> list[Photo]:
    """Plain photos: the class is the colour, two dishes a class."""
    made = []
    for i in range(n):
        target, dish = i % 11, f"{i % 11}-{i // 11 % 2}"
        pixels = np.full((32, 32, 3), (23 * target, 255 - 23 * target, 100), np.uint8)
        made.append(Photo(f"training/{target}_{i}", pixels, target, dish, weight))
    return made


def test_an_epoch_draws_each_photo_by_its_weight():
    mixed = [*photos(20), *photos(10, weight=0.3)]
    rows = epoch_rows(mixed, 0, 0)
    assert sorted(row for row in rows if row < 20) == list(range(20))
    assert len({row for row in rows if row >= 20}) == len(rows) - 20 == 3
    assert rows == epoch_rows(mixed, 0, 0) != epoch_rows(mixed, 0, 1)


def test_each_dish_counts_the_same():
    pictures = [*photos(1), *photos(1), *photos(1), photos(2)[1]]
    scores = torch.nn.functional.one_hot(torch.tensor([0, 0, 0, 5]), 11).float()
    assert found_by_dish(scores, pictures) == 0.5


def test_photos_are_scored_in_batches_as_alone():
    torch.manual_seed(0)
    model = FoodNet().eval()
    pictures = photos(5)
    alone = torch.cat([scores_of(model, [p], 64) for p in pictures])
    torch.testing.assert_close(scores_of(model, pictures, 64, batch_size=2), alone, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("broad")
    history = train_broad(TINY, photos(24), {"unseen": photos(11)}, out, progress=False)
    return out, history


def test_the_files_of_a_run(uninterrupted):
    out, history = uninterrupted
    assert [set(row) for row in history] == [{"epoch", "lr", "loss", "unseen"}] * 2
    assert (out / "history.csv").read_text().startswith("epoch,lr,loss,unseen\n1,")
    assert load(out / "tuned.safetensors").input_size == 32


def test_the_head_is_learned_before_the_trunk(uninterrupted):
    out, _ = uninterrupted
    torch.manual_seed(TINY.seed)
    start = FoodNet().state_dict()
    probe, tuned = (load_file(out / f"{name}.safetensors") for name in ("probe", "tuned"))
    inside, head, still = "features.8.layers.0.weight", "fc.weight", "features.1.layers.0.weight"
    assert torch.equal(probe[inside], start[inside].half())
    assert not torch.equal(probe[head], start[head].half())
    assert not torch.equal(tuned[inside], probe[inside])
    assert torch.equal(tuned[still], start[still].half())


def test_a_run_that_is_cut_ends_in_the_same_weights(uninterrupted, tmp_path, monkeypatch):
    steps = 0
    loss_of = broad._loss

    def cut(*arguments):
        nonlocal steps
        steps += 1
        if steps in (2, 7):
            raise KeyboardInterrupt
        return loss_of(*arguments)

    monkeypatch.setattr(broad, "_loss", cut)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_broad(TINY, photos(24), {"unseen": photos(11)}, tmp_path, checkpoint_every=0, progress=False)
    history = train_broad(TINY, photos(24), {"unseen": photos(11)}, tmp_path, checkpoint_every=0, progress=False)
    out, expected = uninterrupted
    assert history == expected
    one, two = (load_file(folder / "tuned.safetensors") for folder in (out, tmp_path))
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"architecture": "classifier"}, "got classifier"),
        ({"freeze": 15}, "`freeze` must be below"),
        ({"batch_size": 64}, "at least one batch of 64"),
    ],
)
def test_what_cannot_be_trained(recipe, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        train_broad(BroadRecipe(**{"start": "nothing", "batch_size": 8} | recipe), photos(24), {}, tmp_path)


def test_another_recipe_does_not_go_on(uninterrupted):
    out, _ = uninterrupted
    with pytest.raises(UserError, match="lr was"):
        train_broad(BroadRecipe(**vars(TINY) | {"lr": 0.1}), photos(24), {}, out, progress=False)
