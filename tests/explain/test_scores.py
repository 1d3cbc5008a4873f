"""Wrappers that make scores of segmentations, boxes and vectors, against torchvision and formulas by hand."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from hw_xai.explain import BoxScores, SegmentScores, SimilarityScores, grad_cam, gradient
from hw_xai.testing import small_network


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def labeller() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 1)).double().eval()


class Dict(nn.Module):
    """As torchvision's segmentation networks."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.inner = model

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.inner(x), "aux": x}


def test_a_segmentation_scores_the_mean_logit_of_the_pixels_asked_about():
    model, x, mask = labeller(), torch.rand(2, 3, 8, 8).double(), torch.rand(8, 8) > 0.6
    with torch.no_grad():
        logits = model(x)
        expected = torch.stack([logits[:, :, i, j] for i, j in mask.nonzero()]).mean(dim=0)
        torch.testing.assert_close(SegmentScores(model, mask)(x), expected)
        torch.testing.assert_close(SegmentScores(Dict(model), mask)(x), expected)
        scores, won = SegmentScores(model)(x), logits.argmax(dim=1)
    for n in range(2):
        for c in range(4):
            mine = logits[n, c][won[n] == c]
            assert scores[n, c] == pytest.approx(mine.mean().item() if len(mine) else 0.0)


def test_grad_cam_of_a_segmentation_is_the_formula():
    model, x, mask = labeller(), torch.rand(1, 3, 8, 8).double(), torch.zeros(8, 8, dtype=torch.bool)
    mask[2:5, 3:7] = True
    found = grad_cam(SegmentScores(model, mask), x, 2, layer="model.1")
    maps = model[:2](x).detach().requires_grad_()
    (slopes,) = torch.autograd.grad(model[2](maps)[0, 2][mask].mean(), maps)
    expected = sum(slope.mean() * a for slope, a in zip(slopes[0], maps.detach()[0], strict=True)).clamp(min=0)
    torch.testing.assert_close(found[0, 0], expected)


def test_boxes_score_the_best_overlap_times_confidence():
    model = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=3, box_score_thresh=0.0, box_detections_per_img=30
    ).eval()
    x, box = torch.rand(2, 3, 64, 64), torch.tensor([10.0, 12, 50, 60])
    with torch.no_grad():
        scores, found = BoxScores(model, box.tolist(), n_classes=3)(x), model(list(x))
    assert sum(len(one["boxes"]) for one in found) > 10
    for row, one in zip(scores, found, strict=True):
        overlap = torchvision.ops.box_iou(one["boxes"], box[None])[:, 0]
        for c in range(3):
            here = (overlap * one["scores"])[one["labels"] == c]
            assert row[c] == pytest.approx(here.max().item() if len(here) else 0.0, abs=1e-6)


def test_vectors_score_their_cosines():
    model, x, references = small_network().eval(), torch.rand(2, 3, 16, 16).double(), torch.rand(4, 5).double()
    scores = SimilarityScores(model, references)
    with torch.no_grad():
        expected = nn.functional.cosine_similarity(model(x)[:, None], references[None], dim=2)
        torch.testing.assert_close(scores(x), expected)
    slopes = gradient(scores, x, 1)
    torch.testing.assert_close(slopes, gradient(SimilarityScores(model, 3 * references), x, 1))
    assert slopes.abs().max() > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: SegmentScores(labeller(), torch.ones(4, 4).bool())(x), r"`mask` must be .* shape \(8, 8\), got a"),
        (lambda x: SegmentScores(labeller(), torch.zeros(8, 8).bool())(x), "`mask` must be true somewhere"),
        (lambda x: SegmentScores(lambda x: x.mean(dim=(1, 2)))(x), r"`model` must return logits \(N, C, H, W\)"),
        (lambda x: BoxScores(lambda x: [], [3, 3, 3, 5], 2), "`box` must be four numbers x1 < x2"),
        (
            lambda x: SimilarityScores(lambda x: x.flatten(1), torch.rand(2, 5))(x),
            r"`model` must return vectors \(1, 5",
        ),
        (lambda x: SimilarityScores(lambda x: x, [[1.0, 2]]), "`references` must be floating vectors"),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make(torch.rand(1, 3, 8, 8).double())


def test_a_label_above_the_number_of_classes_is_told():
    found = {"boxes": torch.rand(1, 4), "labels": torch.tensor([7]), "scores": torch.ones(1)}
    with pytest.raises(ValueError, match="`n_classes` must be above every label, got 2 for 7"):
        BoxScores(lambda pictures: [found], [0, 0, 1, 1], 2)(torch.rand(1, 3, 8, 8))
