"""Occlusion maps against one mask a forward pass and a closed form; how fast they are is for `python -m benchmarks training`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lookalike.utility.classifier import Classifier
from lookalike.utility.importance import as_seen, choose_images, enlarge, occlusion_map


def small_network(seed: int = 0) -> nn.Module:
    """Eight convolutions, as untrained as they come."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for channels, width, stride in [(3, 8, 2), (8, 8, 1), (8, 8, 1), (8, 16, 2), *[(16, 16, 1)] * 4]:
            layers += [nn.Conv2d(channels, width, 3, stride=stride, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)).eval()


def picture(size: int = 32) -> Tensor:
    return torch.randn(3, size, size, generator=torch.Generator().manual_seed(2))


def one_by_one(model: Callable[[Tensor], Tensor], image: Tensor, labels: np.ndarray, patch: int) -> np.ndarray:
    """The definition: a forward pass for each patch."""
    truth = torch.from_numpy(labels)[None].double()
    height, width = image.shape[1] // patch, image.shape[2] // patch
    result = np.empty((height, width))
    with torch.inference_mode():
        plain = float(binary_cross_entropy_with_logits(model(image[None]).double(), truth))
        for i, j in np.ndindex(height, width):
            masked = image.clone()
            masked[:, i * patch : (i + 1) * patch, j * patch : (j + 1) * patch] = 0
            result[i, j] = float(binary_cross_entropy_with_logits(model(masked[None]).double(), truth)) - plain
    return np.maximum(result, 1e-7)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from more, and wait for them where the machine has other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("patch", "batch"), [(2, 64), (4, 7), (2, 1000)])
def test_equals_one_mask_a_pass(patch: int, batch: int) -> None:
    """In float64, where nothing but a mistake makes a difference."""
    network, image, labels = small_network().double(), picture().double(), np.array([1, 0, 0, 1])
    before = image.clone()
    expected = one_by_one(network, image, labels, patch)
    assert np.count_nonzero(expected > 1e-6) > 10
    np.testing.assert_allclose(occlusion_map(network, image, labels, patch=patch, batch=batch, normalise=False), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(occlusion_map(network, image, labels, patch=patch, batch=batch), expected / expected.sum(), rtol=0, atol=1e-9)
    assert torch.equal(image, before)


def test_the_papers_map_has_12544_patches() -> None:
    seen = []

    def model(images: Tensor) -> Tensor:
        seen.append((images.flatten(1) == 0).sum(dim=1))
        return images[:, :, ::56, ::56].sum(dim=(2, 3))

    importance = occlusion_map(model, picture(224)[:1] + 10, np.array([1]))
    zeros = torch.cat(seen)
    assert importance.shape == (112, 112) and int((zeros == 4).sum()) == 12_544  # 2 x 2 pixels, in an image of its own each
    assert int((zeros == 0).sum()) == len(seen)
    assert enlarge(importance, 2).shape == (224, 224)


def test_closed_form() -> None:
    """One logit, a weighted sum of the pixels: each patch's share of it is known."""
    weights, image = picture(8), picture(8).flip(0)
    importance = occlusion_map(lambda images: (images * weights).sum(dim=(1, 2, 3))[:, None], image, np.array([1]), patch=4, normalise=False)
    share = (image * weights).double().reshape(3, 2, 4, 2, 4).sum(dim=(0, 2, 4)).numpy()
    loss = np.log1p(np.exp(-share.sum()))
    np.testing.assert_allclose(importance, np.maximum(np.log1p(np.exp(-(share.sum() - share))) - loss, 1e-7), rtol=1e-4, atol=1e-8)


def test_an_image_of_mean_grey_has_the_least_importance_everywhere() -> None:
    importance = occlusion_map(small_network(), torch.zeros(3, 32, 32), np.array([1, 0, 0, 1]), normalise=False, batch=100)
    assert (importance == 1e-7).all()


def test_enlarge_repeats_and_odd_sizes_are_refused() -> None:
    np.testing.assert_array_equal(enlarge(np.array([[1.0, 2.0]]), 2), [[1, 1, 2, 2], [1, 1, 2, 2]])
    with pytest.raises(ValueError, match="patches of 5"):
        occlusion_map(small_network(), picture(), np.array([1, 0, 0, 1]), patch=5)


def test_images_that_are_shown() -> None:
    labels = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [1, -1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    scores = np.array([[0.1, 0.9, 0.9, 0.9], [0.9, 0.2, 0.1, 0.1], [0.2, 0.99, 0.1, 0.1], [0.3, 0.9, 0.9, 0.1], [0.9, 0.1, 0.1, 0.1]])
    assert choose_images(labels, scores, count=4).tolist() == [1, 4, 0]  # the second label's best is taken; nobody has the fourth
    assert choose_images(labels, scores, count=2).tolist() == [1, 4]


def test_images_are_shown_as_the_classifier_sees_them() -> None:
    pixels = np.random.default_rng(1).integers(0, 2**16, (2, 8, 6)).astype(np.uint16)
    network = Classifier(1, seed=1, size=16, init_features=8, growth_rate=4, block_config=(2, 2))
    np.testing.assert_allclose(as_seen(pixels, 16), 255 * (network.prepare(pixels)[:, 0].numpy() * 0.229 + 0.485), atol=0.51)
