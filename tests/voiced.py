"""A small workspace whose clips are embedded by GE2E, so that new sounds can be embedded beside them; its sounds."""

import io
from pathlib import Path

import numpy as np
import soundfile

from tests.plain_maps import lay_out_plainly

N_CLIPS, N_SPEAKERS = 72, 12


def write_voiced_workspace(folder: Path) -> Path:
    """Hums of twelve planted speakers, embedded by GE2E, with one SAE, its index and a map."""
    from sae_core.build import workspace_maps
    from sae_core.build.steps import embed_workspace, index_workspace, train_in_workspace
    from sae_core.demo.planted import write_synthetic_workspace
    from sae_core.embedding.embedders import EmbedderChoice
    from sae_core.sae.model import SaeConfig
    from sae_core.sae.training import TrainingConfig
    from sae_core.workspace.workspace import Workspace

    write_synthetic_workspace(folder, n_clips=N_CLIPS, n_speakers=N_SPEAKERS, seed=3, with_audio=True)
    embed_workspace(folder, EmbedderChoice("ge2e"))
    train_in_workspace(
        Workspace(folder),
        SaeConfig(dim=256, n_latents=32, k=4, seed=1),
        TrainingConfig(n_epochs=30, batch_size=16),
    )
    index_workspace(folder)
    usual, workspace_maps.lay_out = workspace_maps.lay_out, lay_out_plainly
    try:
        workspace_maps.map_workspace(folder)
    finally:
        workspace_maps.lay_out = usual
    return folder


def clip_samples(workspace: Path, row: int) -> np.ndarray:
    """The samples of one clip, 1.5 s at 16 kHz."""
    return soundfile.read(workspace / "audio" / f"clip-{row:07d}.wav", dtype="float32")[0]


def as_wav(samples: np.ndarray, sample_rate_hz: int = 16_000) -> bytes:
    """Samples (t, or t × channels) as a WAV file of 16 bits."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, sample_rate_hz, format="WAV", subtype="PCM_16")
    return stream.getvalue()
