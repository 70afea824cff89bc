"""GE2E: the small offline speaker encoder published with Resemblyzer, its weights shipped with VoxScope.

Network after Wan et al. 2018, "Generalized End-to-End Loss for Speaker Verification" (arXiv 1710.10467); front end
and slicing give the vectors of Resemblyzer 0.1.4's `embed_utterance`. Its `preprocess_wav` does two things before
that. Raising quiet recordings to -30 dBFS is done here too, because the mel powers are linear, so the network hears
the level, and it was trained on recordings raised in this way. Cutting long silences is not done: it needs a compiled
voice detector, and a clip should be embedded as it is heard.
"""

from pathlib import Path

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from sae_core.embedding.embedders import choose_device, full_precision
from sae_core.embedding.filterbanks import slaney_filters
from sae_core.embedding.network_weights import check_weights
from sae_core.files.artifacts import fingerprint, read_tensors
from sae_core.files.product import asset

SHIPPED_WEIGHTS = asset("models", "ge2e.safetensors")
FRONT_END = "mel40-16k-400-160/partials160-77/raise-30dBFS"

SAMPLE_RATE_HZ = 16_000
N_FFT = 400
HOP_SAMPLES = 160
N_MELS = 40
PARTIAL_FRAMES = 160
PARTIAL_STEP_FRAMES = 77
"""Frames from one partial utterance to the next: 1.3 partials a second, rounded to whole frames."""
MIN_COVERAGE = 0.75
QUIET_DBFS = -30.0
HIDDEN = 256
N_LAYERS = 3

_FRAMES_AT_ONCE = 16_384
_PARTIALS_AT_ONCE = 256
_REMEDY = "leave --model out for the weights shipped with VoxScope, or name a GE2E safetensors file"


def partial_starts(n_samples: int) -> list[int]:
    """First mel frames of the partial utterances of a clip, `PARTIAL_FRAMES` each.

    There is one, and further ones while the clip fills `MIN_COVERAGE` of them; the rest of a last one is zeros.
    """
    covered = int(MIN_COVERAGE * PARTIAL_FRAMES * HOP_SAMPLES)
    n_more = max(0, (n_samples - covered) // (PARTIAL_STEP_FRAMES * HOP_SAMPLES))
    return [number * PARTIAL_STEP_FRAMES for number in range(n_more + 1)]


def raise_quiet(waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]) -> Float32[Tensor, "b t"]:
    """Amplify each waveform whose level lies below `QUIET_DBFS` up to it; louder and silent ones stay as they are.

    Waveforms are zero beyond their length.
    """
    power = waveforms.double().square().sum(dim=1) / lengths
    gain = torch.where(power > 0, (10 ** (QUIET_DBFS / 10) / power).sqrt(), 1.0).clamp_min(1.0)
    return waveforms * gain.float()[:, None]


class MelPowers(nn.Module):
    """Waveform → mel powers (not their logarithm), frames centred on multiples of the hop, zeros beyond the clip."""

    window: Tensor
    filterbank: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT, periodic=True))
        self.register_buffer(
            "filterbank", torch.from_numpy(slaney_filters(N_MELS, N_FFT, SAMPLE_RATE_HZ).T.copy())
        )

    def forward(self, waveform: Float32[Tensor, " t"], n_frames: int) -> Float32[Tensor, "frame mel"]:
        """The first `n_frames` frames of one waveform."""
        n_needed = (n_frames - 1) * HOP_SAMPLES + N_FFT
        padded = nn.functional.pad(waveform, (N_FFT // 2, n_needed))[:n_needed]
        pieces = torch.split(padded.unfold(0, N_FFT, HOP_SAMPLES), _FRAMES_AT_ONCE)
        return torch.cat(
            [torch.fft.rfft(piece * self.window).abs().square() @ self.filterbank for piece in pieces]
        )


class Ge2eNetwork(nn.Module):
    """LSTM over mel frames; the last layer's final state → linear → ReLU → unit norm."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(N_MELS, HIDDEN, N_LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, mels: Float32[Tensor, "p frame mel"]) -> Float32[Tensor, "p d"]:
        """One unit vector a partial utterance; zeros where the ReLU leaves nothing."""
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


class Ge2eEmbedder:
    """The GE2E encoder: mean of the partial utterances' unit vectors, at unit norm.

    raises_quiet: False feeds waveforms at their own level, as `embed_utterance` alone does.
    """

    name = "ge2e"
    dim = HIDDEN
    sample_rate_hz = SAMPLE_RATE_HZ
    min_duration_s = 0.4

    def __init__(
        self, network: Ge2eNetwork, revision: str, device: torch.device, *, raises_quiet: bool = True
    ) -> None:
        self.revision = revision
        self._network = network.to(device).eval()
        self._mel_powers = MelPowers().to(device)
        self._device = device
        self._raises_quiet = raises_quiet

    @torch.inference_mode()
    def embed(
        self, waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b d"]:
        """One unit vector a waveform (zeros for one the network does not respond to)."""
        waveforms, lengths = waveforms.to(self._device), lengths.to(self._device)
        heard = torch.arange(waveforms.shape[1], device=self._device) < lengths[:, None]
        waveforms = torch.where(heard, waveforms, 0.0)
        if self._raises_quiet:
            waveforms = raise_quiet(waveforms, lengths)
        partials, owners = self._partials(waveforms, lengths)
        with full_precision():
            vectors = torch.cat([self._network(piece) for piece in torch.split(partials, _PARTIALS_AT_ONCE)])
        sums = torch.zeros(len(waveforms), self.dim, dtype=torch.float64).index_add_(
            0, owners, vectors.double().cpu()
        )
        return nn.functional.normalize(sums, dim=1).float()

    def _partials(
        self,
        waveforms: Float32[Tensor, "b t"],
        lengths: Int64[Tensor, " b"],
    ) -> tuple[Float32[Tensor, "p frame mel"], Int64[Tensor, " p"]]:
        """The mel powers of all partial utterances of a batch, and the row each belongs to."""
        partials, owners = [], []
        for row, (waveform, n_samples) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            starts = partial_starts(n_samples)
            mels = self._mel_powers(waveform, starts[-1] + PARTIAL_FRAMES)
            partials += [mels[start : start + PARTIAL_FRAMES] for start in starts]
            owners += [row] * len(starts)
        return torch.stack(partials), torch.tensor(owners)


def load(model: str | None, device: str | None) -> Ge2eEmbedder:
    """The GE2E embedder with the shipped weights, or those in the safetensors file `model`.

    Raises ArtifactError when the file is missing, not safetensors, or not this network's weights.
    """
    path = SHIPPED_WEIGHTS if model is None else Path(model)
    tensors = read_tensors(path, remedy=_REMEDY)
    network = Ge2eNetwork()
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_weights(path, tensors, wanted, network="GE2E", remedy=_REMEDY)
    network.load_state_dict({name: torch.from_numpy(array).float() for name, array in tensors.items()})
    return Ge2eEmbedder(network, fingerprint(FRONT_END, tensors), choose_device(device))
