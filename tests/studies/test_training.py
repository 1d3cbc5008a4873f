"""A training draws its curves and, of the best epoch, what was taken for what."""

from PIL import Image
from torch.utils.data import Subset

from hw_xai.studies.training import train_and_draw
from hw_xai.training.recipe import Recipe
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.folders import TrainingData
from hw_xai.vision.food11.layout import CLASSES


def test_the_pictures_of_a_run(tmp_path):
    dishes = SyntheticFood11(16, seed=0)
    data = TrainingData(dishes, Subset(dishes, range(8)), CLASSES, "drawn")
    recipe = Recipe(epochs=1, batch_size=8, train_size=32, eval_size=32)
    report = train_and_draw(recipe, data, tmp_path, progress=False)
    assert sum(map(sum, report["confusion"])) == 8
    for name in ("curves.png", "confusion.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300
