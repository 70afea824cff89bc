"""One training step against the same written plainly, and what it must keep."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sae_core.sae import step as stepping
from sae_core.sae import topk
from sae_core.sae.model import SaeConfig, SparseAutoencoder, weight_shapes
from sae_core.sae.step import SaeFit, StepSettings

SETTINGS = StepSettings(
    learning_rate=1e-2,
    n_steps=100,
    warmup_fraction=0.1,
    decay_fraction=0.2,
    aux_coefficient=1 / 32,
    n_aux_latents=4,
    dead_after_clips=10**9,
)
PLAIN = SaeConfig(dim=6, n_latents=32, k=3)
NESTED = SaeConfig(dim=6, n_latents=32, k=3, variant="matryoshka", prefixes=(4, 12, 32))


def make_fit(config=PLAIN, **changes):
    sae = SparseAutoencoder.untrained(config, np.zeros(config.dim), 1.0)
    with torch.no_grad():
        sae.b_enc.add_(0.1 * normal(config.n_latents, seed=8))
        sae.b_dec.add_(0.1 * normal(config.dim, seed=9))
    return SaeFit(sae, replace(SETTINGS, **changes))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def step_by_the_book(fit, inputs):
    """The same step with dense products, masks and autograd alone: equations as in the class docstring."""
    sae, config = fit.sae, fit.sae.config
    scores = torch.relu((inputs - sae.b_dec) @ sae.W_enc.T + sae.b_enc)
    kept = scores.topk(config.k, dim=1)
    codes = torch.zeros_like(scores).scatter(1, kept.indices, kept.values)
    losses = []
    for prefix in config.prefixes or (config.n_latents,):
        rebuilt = codes[:, :prefix] @ sae.W_dec[:prefix] + sae.b_dec
        losses.append((inputs - rebuilt).square().sum() / inputs.square().sum())
    residual = (inputs - rebuilt).detach()
    loss = torch.stack(losses).mean()
    dead = fit.is_dead
    if dead.any():
        n_answering = min(fit.settings.n_aux_latents, int(dead.sum()))
        answers = scores.masked_fill(~dead, 0).topk(n_answering, dim=1)
        rebuilt = torch.zeros_like(scores).scatter(1, answers.indices, answers.values) @ sae.W_dec
        unexplained = (residual - rebuilt).square().sum() / (residual - residual.mean(0)).square().sum()
        loss = loss + fit.settings.aux_coefficient * unexplained * n_answering / fit.settings.n_aux_latents
    loss.backward()
    with torch.no_grad():
        sae.W_dec.grad -= (sae.W_dec.grad * sae.W_dec).sum(1, keepdim=True) * sae.W_dec
        gradients = {name: part.grad.clone() for name, part in sae.named_parameters()}
        torch.optim.Adam(sae.parameters(), lr=fit.settings.rate_at(0), eps=1e-8).step()
        sae.W_dec /= sae.W_dec.norm(dim=1, keepdim=True)
    return gradients


@pytest.mark.parametrize("config", [PLAIN, NESTED], ids=["topk", "matryoshka"])
@pytest.mark.parametrize("n_dead", [0, 3, 20])
@pytest.mark.parametrize("is_on_cpu", [True, False], ids=["cpu", "as-on-gpu"])
def test_a_step_is_the_equation(config, n_dead, is_on_cpu):
    inputs = normal(40, 6, seed=1)
    fits = []
    for _ in range(2):
        fit = make_fit(config, dead_after_clips=100)
        fit.n_seen = 1000
        fit.last_fired[n_dead:] = 1000
        fits.append(fit)
    gradients = step_by_the_book(fits[1], inputs)
    fits[0].is_on_cpu = is_on_cpu
    fits[0].step(inputs)
    for name, part in fits[0].sae.named_parameters():
        torch.testing.assert_close(part.grad, gradients[name], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(part.data, fits[1].sae.get_parameter(name).data, rtol=1e-4, atol=1e-4)


def gathered_products(rows, weight, slots):
    """`slot_products` by gathering: what the meta device can follow."""
    return (rows.index_select(0, slots.rows) * weight.index_select(0, slots.latents)).sum(1)


@pytest.mark.parametrize("config", [PLAIN, NESTED], ids=["topk", "matryoshka"])
def test_a_step_off_the_cpu_stays_on_its_device_and_waits_for_no_number(config, monkeypatch):
    """The meta device computes no numbers: whatever reads one fails there, and so does what mixes two devices."""
    moved = []
    monkeypatch.setattr(topk, "slot_products", gathered_products)  # sampled_addmm knows no meta device
    monkeypatch.setattr(stepping, "adam", lambda parameters, gradients, *states, **_: moved.extend(gradients))
    parts = {name: torch.empty(shape, device="meta") for name, shape in weight_shapes(config).items()}
    fit = SaeFit(SparseAutoencoder(config, parts), replace(SETTINGS, dead_after_clips=100))
    fit.n_seen = 1000
    fit.step(torch.empty(40, 6, device="meta"))
    assert len(moved) == 4
    assert all(part.device.type == "meta" for part in (*moved, fit.last_fired, fit.sums.error))
    assert fit.n_seen == 1040


def test_nothing_is_looked_for_among_the_dead_while_none_can_be(monkeypatch):
    fit = make_fit(dead_after_clips=100)
    fit.is_on_cpu, inputs, asked = False, normal(40, 6), []
    products = fit._products
    monkeypatch.setattr(fit, "_products", lambda *parts: asked.append(parts[-1]) or products(*parts))
    for _ in range(4):
        fit.step(inputs)
    # clips seen before each step: 0, 40, 80, 120; only the last can find a latent silent for more than 100
    assert asked == [3, 3, 3, 3, 4]


@pytest.mark.parametrize("n_dead", [0, 3])
def test_a_product_in_bfloat16_is_the_same_step_but_for_rounding(n_dead):
    fits = [make_fit(dead_after_clips=100, product_dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    for fit in fits:
        fit.n_seen = 1000
        fit.last_fired[n_dead:] = 1000
        fit.step(normal(400, 6, seed=1))
    exact, narrow = (fit.take_sums() for fit in fits)
    assert narrow.fvu == pytest.approx(exact.fvu, rel=0.005)
    assert narrow.fvu != exact.fvu
    for name, part in fits[1].sae.named_parameters():
        assert part.dtype == part.grad.dtype == torch.float32
        cosine = torch.nn.functional.cosine_similarity(
            part.grad.flatten(), fits[0].sae.get_parameter(name).grad.flatten(), dim=0
        )
        assert cosine > 0.99


def test_decoder_directions_keep_norm_one():
    fit = make_fit()
    for seed in range(20):
        fit.step(normal(16, 6, seed=seed))
        torch.testing.assert_close(fit.sae.W_dec.norm(dim=1), torch.ones(32))


def test_aux_k_loss_moves_dead_latents_only_and_no_decoder_bias():
    fit = make_fit(dead_after_clips=100)
    fit.n_seen = 1000
    fit.last_fired[5:] = 1000
    inputs = normal(40, 6, seed=1)
    residual = normal(40, 6, seed=2)
    fit.aux_k_loss(inputs, residual, fit.sae.b_enc).backward()
    for part in (fit.sae.W_enc, fit.sae.W_dec, fit.sae.b_enc):
        assert part.grad[:5].any()
        assert not part.grad[5:].any()
    assert fit.sae.b_dec.grad is None


def test_aux_k_loss_fits_the_residual_not_its_negative():
    # one dead latent along the residual explains all of it; turned round it cannot
    sae = SparseAutoencoder.untrained(SaeConfig(dim=2, n_latents=2, k=1), np.zeros(2), 1.0)
    with torch.no_grad():
        sae.W_dec[1] = sae.W_enc[1] = torch.tensor([1.0, 0.0])
    fit = SaeFit(sae, replace(SETTINGS, n_aux_latents=1, dead_after_clips=1))
    fit.n_seen, fit.last_fired = 10, torch.tensor([10, 0])
    residual = torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]])
    bias = torch.zeros(2)
    assert fit.aux_k_loss(residual, residual, bias).item() == pytest.approx(0, abs=1e-6)
    assert fit.aux_k_loss(residual, -residual, bias).item() > 1


def test_aux_k_loss_is_zero_without_dead_latents_or_without_residual():
    fit = make_fit(dead_after_clips=100)
    inputs = normal(8, 6)
    assert fit.aux_k_loss(inputs, normal(8, 6), fit.sae.b_enc).item() == 0
    fit.n_seen = 1000
    loss = fit.aux_k_loss(inputs, torch.zeros(8, 6), fit.sae.b_enc)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(fit.sae.W_dec.grad).all()


def test_a_latent_is_dead_once_silent_for_long_enough():
    fit = make_fit(dead_after_clips=32, aux_coefficient=0.0)
    inputs = normal(16, 6)
    fit.step(inputs)
    assert not fit.is_dead.any()
    fit.step(inputs)
    fit.step(inputs)
    silent = fit.last_fired == 0
    assert silent.any()
    assert torch.equal(fit.is_dead, silent)


def test_learning_rate_climbs_stays_and_falls():
    rates = [SETTINGS.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[9:81] == pytest.approx([1e-2] * 72)
    assert rates[99] == pytest.approx(1e-2 / 20)
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[81:]) < 0)
    assert replace(SETTINGS, warmup_fraction=0.0, decay_fraction=0.0).rate_at(0) == 1e-2


def test_sums_hold_what_was_seen_since_they_were_taken():
    fit = make_fit(aux_coefficient=0.0)
    fit.step(normal(16, 6))
    fit.take_sums()
    inputs = normal(24, 6, seed=3)
    before = fit.sae.encode_dense(inputs)
    rebuilt = (before @ fit.sae.W_dec + fit.sae.b_dec).detach()
    expected = float((inputs - rebuilt).square().sum() / inputs.square().sum())
    fit.step(inputs)
    sums = fit.take_sums()
    assert sums.n_clips == 24
    assert sums.fvu == pytest.approx(expected, rel=1e-4)
    assert sums.l0 == pytest.approx(float((before > 0).sum(1).float().mean()))
    assert fit.take_sums().n_clips == 0


def test_goes_on_from_its_arrays_to_the_last_bit():
    straight, broken = make_fit(NESTED, dead_after_clips=20), make_fit(NESTED, dead_after_clips=20)
    for seed in range(3):
        straight.step(normal(16, 6, seed=seed))
        broken.step(normal(16, 6, seed=seed))
    resumed = make_fit(replace(NESTED, seed=5), dead_after_clips=20)
    resumed.restore(broken.arrays())
    for seed in range(3, 6):
        straight.step(normal(16, 6, seed=seed))
        resumed.step(normal(16, 6, seed=seed))
    for name, array in straight.arrays().items():
        np.testing.assert_array_equal(array, resumed.arrays()[name], err_msg=name)


@pytest.mark.parametrize(
    "damage", [lambda a: a.pop("fit.last_fired"), lambda a: a.update({"sae.W_enc": np.zeros((3, 3))})]
)
def test_arrays_of_another_autoencoder_are_refused(damage):
    fit = make_fit()
    fit.step(normal(16, 6))
    arrays = fit.arrays()
    damage(arrays)
    with pytest.raises((KeyError, ValueError)):
        make_fit().restore(arrays)


def test_aux_k_loss_brings_dead_latents_back():
    truth = torch.nn.functional.normalize(normal(64, 16), dim=1)
    n_dead, fvu = [], []
    for coefficient in (0.0, 1 / 32):
        sae = SparseAutoencoder.untrained(SaeConfig(dim=16, n_latents=64, k=3), np.zeros(16), 1.0)
        with torch.no_grad():
            sae.W_enc[20:] *= 0.05  # 44 latents too faint to be ever among the three strongest
        settings = replace(
            SETTINGS,
            learning_rate=3e-3,
            n_steps=300,
            aux_coefficient=coefficient,
            n_aux_latents=8,
            dead_after_clips=500,
        )
        fit = SaeFit(sae, settings)
        for seed in range(300):
            fit.step(3 * normal(100, 64, seed=seed).clamp_min(1.2).sub(1.2) @ truth)
        n_dead.append(int(fit.is_dead.sum()))
        fvu.append(fit.take_sums().fvu)
    assert n_dead[0] > 35, "nothing to revive: the test would show nothing"
    assert n_dead[1] < n_dead[0] / 2
    assert fvu[1] < 0.9 * fvu[0]
