"""What hw_xai.vision exports: each name is there, means what its module means, and is said to be public on purpose."""

import hw_xai.vision as vision
from hw_xai.vision import networks


def test_the_public_names():
    assert vision.__all__ == sorted(vision.__all__)
    assert len(vision.__all__) <= 15
    assert all(getattr(vision, name).__doc__ or name == "CLASSES" for name in vision.__all__)
    assert vision.load is networks.load
    assert vision.models is networks, "the earlier name of networks"
