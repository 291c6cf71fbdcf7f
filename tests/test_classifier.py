"""The classifier: MONAI's network with Keras' numbers, D21's schedule against traces by hand, and training that learns and repeats itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import nn

from lookalike.errors import LookalikeError
from lookalike.utility.classifier import (
    Classifier,
    Fold,
    Progress,
    Schedule,
    extract_features,
    fit,
    label_loss,
    load_classifier,
    predict,
    save_classifier,
)

TINY: dict[str, Any] = {"size": 32, "init_features": 8, "growth_rate": 4, "block_config": (2, 2)}


def fold(n: int, *, seed: int) -> Fold:
    """Noise with a bright bar on the left (label 0), or one at the top (label 1); the third label is anything."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, (n, 3)).astype(np.int8)
    images = generator.integers(0, 120, (n, 16, 16))
    images[:, :, :3] += 60 * labels[:, 0, None, None]
    images[:, :3, :] += 60 * labels[:, 1, None, None]
    return Fold(images.astype(np.uint8), labels)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from more, and wait for them where the machine has other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(scope="module")
def densenet() -> Classifier:
    return Classifier(2, seed=1)


def test_is_densenet_121(densenet: Classifier) -> None:
    # of one channel and two labels it would have 6,949,634: the first layer has 64 filters of 7 x 7
    assert count(densenet) == 6_949_634 + 2 * 64 * 49
    assert count(densenet) - count(densenet.head) == 6_953_856
    norms = [module for module in densenet.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 121 and {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1.001e-5)}
    assert densenet.backbone == "random"


def test_equals_monais_densenet_121(densenet: Classifier) -> None:
    from monai.networks.nets.densenet import DenseNet121

    theirs = DenseNet121(spatial_dims=2, in_channels=3, out_channels=2)
    ours = densenet.state_dict()
    names = {"trunk": "features", "head": "class_layers.out"}
    theirs.load_state_dict({names[key.partition(".")[0]] + "." + key.partition(".")[2]: tensor for key, tensor in ours.items()})
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.001e-5
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert densenet.eval().features(images).shape == (2, 1024)
        torch.testing.assert_close(densenet(images), theirs.eval()(images), rtol=1e-5, atol=1e-5)


def test_preparing() -> None:
    classifier = Classifier(1, seed=1, **{**TINY, "size": 4})
    grey = classifier.prepare(np.full((2, 5, 3), 51, dtype=np.uint8))
    assert grey.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(grey[1, :, 2, 2], (0.2 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-6)
    # from two pixels to four: half a pixel's way outside the outer centres, then quarters of the way between them
    ramp = classifier.prepare(np.array([[[0, 255], [0, 255]]], dtype=np.uint8))
    np.testing.assert_allclose(ramp[0, 0] * 0.229 + 0.485, np.tile([0, 0.25, 0.75, 1], (4, 1)), atol=1e-6)
    deep = np.random.default_rng(1).integers(0, 256, (1, 4, 4))
    torch.testing.assert_close(classifier.prepare(deep.astype(np.uint8)), classifier.prepare((257 * deep).astype(np.uint16)), atol=1e-6, rtol=0)


def test_of_several_channels_the_first_three_are_red_green_and_blue() -> None:
    classifier = Classifier(1, seed=1, **{**TINY, "size": 4})
    grey = np.random.default_rng(1).integers(0, 65536, (7, 2, 4, 4)).astype(np.uint16)
    shown = classifier.prepare(grey.transpose(1, 0, 2, 3))
    for colour in range(3):
        torch.testing.assert_close(shown[:, colour], classifier.prepare(grey[colour])[:, colour])
    with pytest.raises(LookalikeError, match="Images of 2 channels are neither"):
        classifier.prepare(np.zeros((1, 2, 4, 4), dtype=np.uint8))


def test_the_seed_makes_the_weights_and_nothing_else_does() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, other = Classifier(2, seed=1, **TINY), Classifier(2, seed=1, **TINY)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert not torch.equal(one.head.weight, Classifier(2, seed=2, **TINY).head.weight)


@pytest.mark.parametrize("layer", ["layers.norm1", "norm1", "norm.1"])
def test_weights_of_a_file_with_any_of_the_usual_names(layer: str, tmp_path: Path) -> None:
    source, path = Classifier(5, seed=8, **TINY), tmp_path / "imagenet.safetensors"
    dot = "." if layer == "norm.1" else ""
    prefix = "layers." if layer.startswith("layers") else ""
    tensors = {"classifier.weight": torch.zeros(1000, 8), "classifier.bias": torch.zeros(1000)}
    for name, tensor in source.trunk.state_dict().items():
        for kind in ("norm", "conv"):
            for number in (1, 2):
                name = name.replace(f"layers.{kind}{number}.", f"{prefix}{kind}{dot}{number}.")
        if not name.endswith("num_batches_tracked"):
            tensors[f"features.{name}"] = tensor
    save_file(tensors, path)
    assert any(f".{layer}." in name for name in tensors)
    loaded = Classifier(2, seed=1, weights=path, **TINY)
    ours, theirs = loaded.trunk.state_dict(), source.trunk.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert torch.equal(loaded.head.weight, Classifier(2, seed=1, **TINY).head.weight)
    assert loaded.backbone == f"imagenet.safetensors sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_unusable_weights_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    damaged = {f"features.{name}": tensor for name, tensor in Classifier(2, seed=1, **TINY).trunk.state_dict().items()}
    damaged["features.conv0.weight"][0, 0, 0, 0] = torch.nan
    for content in (None, b"not safetensors", {"features.conv0.weight": torch.zeros(8, 3, 7, 7)}, damaged):
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content:
            save_file(content, path)
        with pytest.raises(LookalikeError, match=r"cannot be used.*weights\.safetensors"):
            Classifier(2, seed=1, weights=path, **TINY)
    with pytest.raises(LookalikeError, match=r"features\.conv0\.weight is not finite"):
        Classifier(2, seed=1, weights=path, **TINY)


def test_saved_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path, classifier = tmp_path / "weights.safetensors", Classifier(2, seed=1, **TINY)
    save_classifier(path, classifier, labels=["a", "b"])
    load_classifier(path)
    with torch.no_grad():
        classifier.head.bias[1] = torch.nan
    save_classifier(path, classifier, labels=["a", "b"])
    with pytest.raises(LookalikeError, match=r"cannot be read: head\.bias is not finite.*weights\.safetensors"):
        load_classifier(path)


def test_loss_is_the_mean_over_known_labels() -> None:
    logits = torch.tensor([[0.5, -1.0, 2.0], [1.0, 1.0, 1.0]])
    loss = label_loss(logits, torch.tensor([[1, 0, -1], [-1, -1, -1]]))
    assert loss.tolist() == pytest.approx([(np.log1p(np.exp(-0.5)) + np.log1p(np.exp(-1.0))) / 2, 0])


def test_schedule_follows_the_trace() -> None:
    """By hand: epoch (from 0), its AUC, and after it the learning rate, the best epoch and whether training ends."""
    trace = [
        (0.60, 1e-4, 0, False),
        (0.59, 1e-4, 0, False),
        (0.70, 1e-4, 2, False),  # a new best: both counts start anew
        (0.70, 1e-4, 2, False),  # as good is not better
        (0.69, 1e-5, 2, False),  # two without: cut
        (0.71, 1e-5, 5, False),  # third would have ended it
        (0.70, 1e-5, 5, False),
        (0.70, 1e-6, 5, False),
        (0.72, 1e-6, 8, False),
        (0.70, 1e-6, 8, False),
        (0.70, 1e-7, 8, False),
        (0.73, 1e-7, 11, False),
        (0.10, 1e-7, 11, False),
        (0.10, 1e-8, 11, False),
        (0.74, 1e-8, 14, False),
        (0.73, 1e-8, 14, False),
        (0.73, 1e-8, 14, False),  # not below 1e-8
        (0.73, 1e-8, 14, True),  # three without
    ]
    schedule = Schedule()
    assert schedule.progress([]) == Progress(1e-4, -1, False)
    for epoch in range(len(trace)):
        _, rate, best, done = trace[epoch]
        assert schedule.progress([row[0] for row in trace[: epoch + 1]]) == Progress(pytest.approx(rate), best, done), epoch
    rising = list(np.linspace(0.5, 0.9, 100))
    assert not schedule.progress(rising[:99]).done and schedule.progress(rising).done
    # counted anew after each cut: with more patience before the end there is a cut every two epochs
    assert Schedule(stop=9).progress([0.7, *[0.6] * 5]).learning_rate == pytest.approx(1e-6)


def test_an_epoch_has_104_batches_or_all_whole_ones_there_are() -> None:
    assert [Schedule().steps(images) for images in (117_168, 5000, 600, 48, 20)] == [104, 104, 12, 1, 1]


@pytest.fixture(scope="module")
def trained() -> tuple[Classifier, list[float]]:
    classifier = Classifier(3, seed=1, **TINY)
    return classifier, fit(classifier, fold(600, seed=1), fold(200, seed=2), schedule=Schedule(learning_rate=5e-3, epochs=5, batch=24), seed=4)


def test_learns_what_can_be_learnt(trained: tuple[Classifier, list[float]]) -> None:
    classifier, aucs = trained
    test = fold(300, seed=3)
    probabilities = predict(classifier, test.images)
    assert probabilities.shape == (300, 3) and probabilities.min() >= 0 and probabilities.max() <= 1
    by_label = [roc_auc_score(test.labels[:, label], probabilities[:, label]) for label in range(3)]
    assert min(by_label[:2]) > 0.9 and abs(by_label[2] - 0.5) < 0.1
    assert not classifier.training and len(aucs) == 5


def test_keeps_the_weights_of_the_best_epoch() -> None:
    """Validated on labels that mean nothing, AUCs wander about 0.5, and training soon ends three epochs after the best."""
    classifier, validation = Classifier(3, seed=1, **TINY), fold(60, seed=2)
    nonsense = Fold(validation.images, validation.labels[::-1].copy())
    aucs = fit(classifier, fold(96, seed=1), nonsense, schedule=Schedule(learning_rate=1e-3), seed=4)
    assert len(aucs) < 50 and int(np.argmax(aucs)) == len(aucs) - 4
    probabilities = predict(classifier, nonsense.images)
    kept = np.mean([roc_auc_score(nonsense.labels[:, label], probabilities[:, label]) for label in range(3)])
    assert kept == pytest.approx(max(aucs)) and max(aucs) > aucs[-1]


def test_features_are_what_the_last_layer_sees(trained: tuple[Classifier, list[float]]) -> None:
    classifier, _ = trained
    images = fold(70, seed=5).images  # more than one pass
    features = extract_features(classifier, images)
    logits = features @ classifier.head.weight.detach().numpy().T + classifier.head.bias.detach().numpy()
    np.testing.assert_allclose(predict(classifier, images), 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_training_repeats_itself_bit_for_bit() -> None:
    def weights(seed: int) -> bytes:
        classifier = Classifier(3, seed=1, **TINY)
        fit(classifier, fold(120, seed=1), fold(60, seed=2), schedule=Schedule(learning_rate=1e-3, epochs=2), seed=seed)
        return b"".join(tensor.numpy().tobytes() for tensor in classifier.state_dict().values())

    first = weights(4)
    torch.rand(5)
    assert weights(4) == first and weights(5) != first


def test_no_epoch_is_the_best_where_no_label_varies() -> None:
    validation = Fold(fold(20, seed=2).images, np.ones((20, 3), dtype=np.int8))
    with pytest.raises(LookalikeError, match="no epoch can be called the best"):
        fit(Classifier(3, seed=1, **TINY), fold(60, seed=1), validation, schedule=Schedule(), seed=1)
