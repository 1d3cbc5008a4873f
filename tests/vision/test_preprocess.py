"""What the networks take."""

import numpy as np
import torch
from PIL import Image

from hw_xai.vision.preprocess import preprocessing


def test_preprocessing_is_the_homeworks_transform():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8))
    inputs = preprocessing()(image)
    assert inputs.shape == (3, 128, 128)
    assert inputs.dtype == torch.float32
    resized = np.array(image.resize((128, 128), Image.Resampling.BILINEAR))
    expected = torch.from_numpy(resized).permute(2, 0, 1) / 255
    # Pillow and torchvision round the antialiased average differently by one level
    assert (inputs - expected).abs().max() <= 1.01 / 255
