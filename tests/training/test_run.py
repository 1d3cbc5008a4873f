"""A run: its steps, when it keeps a checkpoint, and what an interrupt says."""

import pytest
import torch
from torch import nn

from hw_xai.errors import UserError
from hw_xai.training.run import Run, descend, seed_of, set_rate


def a_run(out, **recipe):
    """A linear layer that learns random noise: a run and its step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    run = Run(out / "last.pt", {"lr": 0.1, **recipe}, {"model": model, "optimizer": optimizer})

    def one_step(step: int) -> dict[str, str]:
        torch.manual_seed(seed_of(step))
        set_rate(optimizer, 0.1 / (step + 1))
        loss = model(torch.randn(8, 4)).square().mean()
        descend(optimizer, loss, model.parameters(), clip=1.0)
        return {"loss": f"{loss.item():.3f}"}

    return run, one_step


def interrupted_at(stop, one_step):
    def step_or_stop(step):
        if step == stop:
            raise KeyboardInterrupt
        return one_step(step)

    return step_or_stop


def test_a_cut_run_ends_in_the_same_weights(tmp_path):
    whole, one_step = a_run(tmp_path / "whole")
    whole.go(one_step, 0, 10, progress=False)
    for stop in (5, 8, None):
        run, one_step = a_run(tmp_path / "cut")
        first = run.resume().get("step", 0)
        if stop is None:
            assert first == 6
            run.go(one_step, first, 10, every=[3], progress=False)
        else:
            with pytest.raises(KeyboardInterrupt):
                run.go(interrupted_at(stop, one_step), first, 10, every=[3], progress=False)
    for name, value in whole.parts["model"].state_dict().items():
        assert torch.equal(run.parts["model"].state_dict()[name], value)


def test_an_interrupt_says_where_the_same_command_goes_on(tmp_path):
    run, one_step = a_run(tmp_path)
    with pytest.raises(KeyboardInterrupt, match="goes on from the start: there is no checkpoint yet"):
        run.go(interrupted_at(1, one_step), 0, 4, every=[2], progress=False)
    with pytest.raises(KeyboardInterrupt, match="goes on from the last checkpoint in"):
        run.go(interrupted_at(3, one_step), 0, 4, every=[2], progress=False)


@pytest.mark.parametrize(
    ("due", "kept"),
    [
        ({"every": [2]}, [2, 4, 6, 7]),
        ({"every": [3, 2]}, [2, 3, 4, 6, 7]),
        ({}, [7]),
        ({"seconds": 0}, list(range(1, 8))),
    ],
)
def test_when_a_checkpoint_is_kept(due, kept, tmp_path):
    run, one_step = a_run(tmp_path)
    steps = []
    values = lambda done: steps.append(done) or {"step": done}  # noqa: E731
    Run(run.checkpoint, run.recipe, run.parts, values).go(one_step, 0, 7, progress=False, **due)
    assert steps == kept


def test_one_process_of_several_writes(tmp_path):
    run, one_step = a_run(tmp_path)
    Run(run.checkpoint, run.recipe, run.parts, writes=False).go(one_step, 0, 2, every=[1], progress=False)
    assert not run.checkpoint.exists()


def test_the_global_random_state_is_as_before(tmp_path):
    run, one_step = a_run(tmp_path)
    before = torch.get_rng_state()
    run.go(one_step, 0, 2, progress=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_of_another_recipe_is_not_gone_on_with(tmp_path):
    run, one_step = a_run(tmp_path)
    run.go(one_step, 0, 1, progress=False)
    other, _ = a_run(tmp_path, lr=0.2)
    with pytest.raises(UserError, match=r"another recipe \(lr was 0.1, is 0.2\)"):
        other.resume()
    run.checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="is damaged: delete it"):
        run.resume()
