"""BatchTopK and JumpReLU in training: against the equations written plainly, and on planted directions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sae_core.sae.config import TRAINED_VARIANTS, chosen_variant, variant_name
from sae_core.sae.distributed import ALONE
from sae_core.sae.foreign import read_foreign
from sae_core.sae.foreign_export import write_foreign
from sae_core.sae.model import SaeConfig, SparseAutoencoder
from sae_core.sae.quality import mean_max_cosine
from sae_core.sae.step import SaeFit, StepSettings
from sae_core.sae.thresholds import (
    JUMP_WIDTH,
    SPARSITY_WEIGHT,
    Encoder,
    batch_strongest,
    jump_products,
    sparsity_loss,
)
from tests.sae.test_step import normal

SETTINGS = StepSettings(
    learning_rate=1e-2,
    n_steps=250,
    warmup_fraction=0.05,
    decay_fraction=0.3,
    aux_coefficient=1 / 32,
    n_aux_latents=8,
    dead_after_clips=2000,
)


def encoder_of(n_latents=40, dim=6):
    return Encoder(
        normal(n_latents, dim, seed=2).requires_grad_(), normal(n_latents, seed=3).requires_grad_()
    )


def dense(values, latents, n_latents):
    return torch.zeros(len(values), n_latents).scatter_add(1, latents, values)


@pytest.mark.parametrize("k", [1, 3, 30])
def test_a_batch_keeps_its_largest_scores_however_few_rows_hold_them(k):
    inputs, encoder = normal(50, 6, seed=1), encoder_of()
    inputs[:5] *= 20  # a few rows take most of the slots
    values, latents, cut = batch_strongest(inputs, encoder, k, ALONE)
    scores = torch.relu(inputs @ encoder.weight.T + encoder.bias)
    smallest = scores.flatten().topk(min(50 * k, scores.numel())).values[-1]
    expected = torch.where(scores >= smallest, scores, 0)
    found = dense(values, latents, 40)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert cut.item() == pytest.approx(smallest.item(), rel=1e-4, abs=1e-6)
    weights = normal(50, 40, seed=4)
    for ours, plain in zip(
        *gradients(encoder[:2], (found * weights).sum(), (expected * weights).sum()), strict=True
    ):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-3)


def gradients(parameters, *losses):
    return [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]


class Jump(torch.autograd.Function):
    """z · H(z − θ) and H(z − θ), with the gradients of arXiv 2407.14435."""

    @staticmethod
    def forward(ctx, z, threshold):
        ctx.save_for_backward(z, threshold)
        is_active = (z > threshold).float()
        return z * is_active, is_active

    @staticmethod
    def backward(ctx, grad_values, grad_steps):
        z, threshold = ctx.saved_tensors
        near = ((z - threshold).abs() < JUMP_WIDTH / 2).float() / JUMP_WIDTH
        of_threshold = -near * (threshold * grad_values + grad_steps)
        return grad_values * (z > threshold), of_threshold.sum(0)


@pytest.mark.parametrize("level", [0.05, 1.0, 3.0])
def test_a_jump_is_the_equation(level):
    inputs, encoder = normal(50, 6, seed=1), encoder_of()
    threshold = (level * (1 + torch.rand(40, generator=torch.Generator().manual_seed(5)))).requires_grad_()
    values, latents, n_active = jump_products(inputs, encoder, threshold, 2)
    plain, steps = Jump.apply(inputs @ encoder.weight.T + encoder.bias, threshold)
    torch.testing.assert_close(dense(values, latents, 40), plain, rtol=1e-4, atol=1e-4)
    assert n_active.item() == pytest.approx(steps.sum().item(), abs=1e-4)
    weights = normal(50, 40, seed=4)
    price = SPARSITY_WEIGHT * (steps.sum() / 50 / 2 - 1) ** 2
    ours = (dense(values, latents, 40) * weights).sum() + sparsity_loss(n_active, 50, 2, ALONE)
    parameters = (*encoder[:2], threshold)
    for one, other in zip(*gradients(parameters, ours, (plain * weights).sum() + price), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-3)


@pytest.fixture(scope="module")
def flat():
    """32 unit directions and clips made of one to five of them: how many differs from clip to clip."""
    rng = np.random.default_rng(0)
    truth = unit(rng.normal(size=(32, 24)))
    is_active = rng.random((3000, 32)).argsort(1).argsort(1) < rng.integers(1, 6, (3000, 1))
    return truth, scaled(is_active * rng.uniform(0.5, 1.5, is_active.shape) @ truth)


@pytest.fixture(scope="module")
def tree():
    """Five broad directions and clips made of them; with each broad one comes one of its four narrow ones, or none."""
    rng = np.random.default_rng(0)
    truth = unit(rng.normal(size=(25, 20)))
    is_broad, child = rng.random((2000, 5)) < 0.35, rng.integers(0, 5, (2000, 5))
    narrow = (is_broad[:, :, None] & (child[:, :, None] == np.arange(4))).reshape(2000, 20)
    is_active = np.hstack([is_broad, narrow])
    return truth, scaled(is_active * rng.uniform(0.8, 1.2, is_active.shape) @ truth)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def scaled(vectors):
    centred = vectors - vectors.mean(0)
    return torch.from_numpy((centred / centred.std()).astype(np.float32))


def fitted(inputs, name, n_latents, n_steps=250):
    variant, prefixes = chosen_variant(name, n_latents)
    dim = inputs.shape[1]
    sae = SparseAutoencoder.untrained(SaeConfig(dim, n_latents, 3, variant, prefixes), np.zeros(dim), 1.0)
    fit = SaeFit(sae, replace(SETTINGS, n_steps=n_steps))
    generator = torch.Generator().manual_seed(0)
    for _ in range(n_steps):
        fit.step(inputs[torch.randint(len(inputs), (128,), generator=generator)])
    return sae.requires_grad_(False)


@pytest.fixture(scope="module")
def trained(flat, tree):
    some = {name: fitted(flat[1], name, 48) for name in ("topk", "batchtopk", "jumprelu")}
    return some | {"matryoshka-batchtopk": fitted(tree[1], "matryoshka-batchtopk", 32)}


@pytest.mark.parametrize("name", ["batchtopk", "jumprelu"])
def test_planted_directions_are_found_as_well_as_with_topk(flat, trained, name):
    found = {each: mean_max_cosine(flat[0], trained[each].decoder_directions()) for each in ("topk", name)}
    assert found[name] >= found["topk"]
    assert found[name] > 0.95


def test_groups_keep_broad_directions_first_that_topk_mixes_with_narrow_ones(tree, trained):
    broad = tree[0][:5]
    in_first = mean_max_cosine(broad, trained["matryoshka-batchtopk"].decoder_directions()[:8])
    plain = fitted(tree[1], "topk", 32).decoder_directions()
    assert in_first > mean_max_cosine(broad, plain) + 0.05


@pytest.mark.parametrize("name", ["batchtopk", "matryoshka-batchtopk", "jumprelu"])
def test_with_the_learnt_threshold_k_latents_are_active_on_average(flat, tree, trained, name):
    inputs = tree[1] if name.startswith("matryoshka") else flat[1]
    n_active = (trained[name].encode(inputs.numpy()).activations > 0).sum(axis=1)
    assert n_active.mean() == pytest.approx(3, rel=0.15)
    assert n_active.min() < 3 < n_active.max()


@pytest.mark.parametrize("name", ["batchtopk", "matryoshka-batchtopk", "jumprelu"])
def test_sae_lens_gets_the_same_activations(flat, tree, trained, name, tmp_path):
    vectors = (tree if name.startswith("matryoshka") else flat)[1][:300].numpy()
    foreign = read_foreign(write_foreign(trained[name], "saelens", tmp_path / "out", notes={}))
    assert variant_name(foreign.variant, foreign.prefixes) == name
    ours, theirs = (
        sae.encode_dense(torch.from_numpy(vectors)) for sae in (trained[name], foreign.fit(vectors))
    )
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["batchtopk", "jumprelu"])
def test_a_fit_goes_on_from_its_arrays_to_the_last_bit(name):
    def fit():
        sae = SparseAutoencoder.untrained(SaeConfig(6, 32, 3, chosen_variant(name, 32)[0]), np.zeros(6), 1.0)
        return SaeFit(sae, replace(SETTINGS, n_steps=10))

    batches = [normal(40, 6, seed=seed) for seed in range(10)]
    whole, first, second = fit(), fit(), fit()
    for number, batch in enumerate(batches):
        whole.step(batch)
        if number < 4:
            first.step(batch)
    second.restore(first.arrays())
    for batch in batches[4:]:
        second.step(batch)
    for name_, array in whole.arrays().items():
        np.testing.assert_array_equal(second.arrays()[name_], array)
    assert (whole.sae.threshold > 0).all()


def test_names_of_variants_and_their_fields_go_both_ways():
    for name in TRAINED_VARIANTS:
        assert (
            variant_name(SaeConfig(8, 64, 4, *chosen_variant(name, 64)).variant, chosen_variant(name, 64)[1])
            == name
        )
    with pytest.raises(ValueError, match="relu"):
        chosen_variant("relu", 64)


def test_the_command_line_offers_what_is_trained():
    from sae_core.__main__ import build_parser

    for name in TRAINED_VARIANTS:
        assert build_parser().parse_args(["train", "--workspace", "w", "--variant", name]).variant == name
