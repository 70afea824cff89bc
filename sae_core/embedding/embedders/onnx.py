"""Any speaker network in an ONNX file, as WeSpeaker, 3D-Speaker, NeMo and others export them, run by onnxruntime.

The file says what it wants: frames of a filterbank, with time or mels first, or samples. What it cannot say is which
filterbank: NeMo's where the input bears the name that NeMo gives it, else Kaldi's with its own window, as 3D-Speaker
uses; `kaldi-hamming` is WeSpeaker's. Each clip goes through alone, so that no padding is heard.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from sae_core.embedding.embedders import check_packages
from sae_core.embedding.filterbanks import KaldiFilterbank, NemoFilterbank
from sae_core.files.artifacts import file_digest, fingerprint
from sae_core.files.errors import ArtifactError

SAMPLE_RATE_HZ = 16_000
MAX_FILE_BYTES = 2 * 1024**3
USUAL_MELS = 80
FRONT_ENDS: dict[str, Callable[[int], nn.Module] | None] = {
    "kaldi-povey": lambda n_mels: KaldiFilterbank(n_mels, window="povey"),
    "kaldi-hamming": lambda n_mels: KaldiFilterbank(n_mels, window="hamming", scale=32_768.0),
    "nemo": NemoFilterbank,
    "waveform": None,
}
"""Name → the filterbank of so many mels; None where the network takes samples. WeSpeaker's networks were trained on
16-bit numbers."""
NEMO_INPUT = "audio_signal"
"""What NeMo calls the frames in every network of speakers that it exports."""

_TRIED_S = 2.0
_REMEDY = "name another file with --model, or say with --front-end what it hears: " + ", ".join(FRONT_ENDS)


class OnnxEmbedder:
    """A network in an ONNX file; its vectors at unit norm. Of several outputs the one called embedding counts."""

    name = "onnx"
    sample_rate_hz = SAMPLE_RATE_HZ
    min_duration_s = 0.4

    def __init__(self, session: Any, path: Path, front_end: str | None) -> None:
        self._session, self._path = session, path
        self._input, self._lengths = _inputs(session, path)
        self.front_end = _front_end(self._input, path) if front_end is None else front_end
        self._has_mels_first, self._n_mels = _mels(self._input)
        make = FRONT_ENDS[self.front_end]
        self._filterbank = None if make is None else make(self._n_mels)
        front = f"{self.front_end}, {self._n_mels} mels, {'mels' if self._has_mels_first else 'time'} first"
        self.revision = fingerprint(front, file_digest(path))
        n_samples = round(_TRIED_S * SAMPLE_RATE_HZ)
        tone = torch.sin(torch.arange(n_samples) * 0.1)[None] * 0.1
        self.dim = self.embed(tone, torch.tensor([n_samples])).shape[1]

    @torch.inference_mode()
    def embed(
        self, waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b d"]:
        """One unit vector a waveform."""
        rows = [self._embed_alone(clip[:n][None], n) for clip, n in zip(waveforms, lengths, strict=True)]
        return nn.functional.normalize(torch.from_numpy(np.stack(rows)), dim=1)

    def _embed_alone(self, waveform: Tensor, n_samples: Tensor) -> np.ndarray:
        if self._filterbank is None:
            heard, n_heard = waveform, n_samples
        else:
            heard, n_frames = self._filterbank(waveform, n_samples[None])
            n_heard = n_frames[0]
            heard = heard.transpose(1, 2) if self._has_mels_first else heard
        rank = len(self._input.shape)
        given = heard if heard.ndim == rank else heard[:, None] if rank == heard.ndim + 1 else heard[0]
        feed = {self._input.name: given.contiguous().numpy()}
        if self._lengths is not None:
            kind = np.int32 if "int32" in self._lengths.type else np.int64
            feed[self._lengths.name] = np.array([int(n_heard)], kind)
        return self._vector(feed)

    def _vector(self, feed: dict[str, np.ndarray]) -> Float32[np.ndarray, " d"]:
        try:
            outputs = self._session.run(None, feed)
        # onnxruntime raises its own exceptions, which are no Python types one could name.
        except Exception as error:
            shape = next(iter(feed.values())).shape
            raise ArtifactError(
                f"takes no {self.front_end} of shape {shape} ({_first_line(error)})",
                where=self._path,
                remedy=_REMEDY,
            ) from error
        names = [one.name for one in self._session.get_outputs()]
        vectors = {
            name: np.asarray(found, np.float32).reshape(-1)
            for name, found in zip(names, outputs, strict=True)
            if np.ndim(found) >= 1 and np.shape(found)[0] == 1 and np.size(found) == max(np.shape(found)) > 1
        }
        if not vectors:
            shapes = ", ".join(str(np.shape(found)) for found in outputs)
            raise ArtifactError(
                f"gives outputs of shape {shapes}, none of them one vector a clip",
                where=self._path,
                remedy=_REMEDY,
            )
        # classifiers give the scores of their classes too: the vector is what is called so, or else what is shorter
        called = [name for name in vectors if name.lower().startswith("emb")]
        return min((vectors[name] for name in called or vectors), key=len)


def _inputs(session: Any, path: Path) -> tuple[Any, Any | None]:
    """The input for sound and the one for its length, if there is one; ArtifactError for anything else."""
    sounds = [one for one in session.get_inputs() if "float" in one.type and len(one.shape) in (2, 3, 4)]
    others = [one for one in session.get_inputs() if one not in sounds]
    has_length = len(others) == 1 and "int" in others[0].type and len(others[0].shape) <= 1
    if len(sounds) != 1 or (others and not has_length):
        found = ", ".join(f"{one.name} {one.type}{one.shape}" for one in session.get_inputs())
        raise ArtifactError(
            f"takes {found or 'nothing'}, not one sound and perhaps its length", where=path, remedy=_REMEDY
        )
    return sounds[0], others[0] if others else None


def _front_end(sound: Any, path: Path) -> str:
    """What an input seems to want: samples in two axes, frames in three."""
    shape = list(sound.shape)
    is_samples = len(shape) == 2 or (len(shape) == 3 and shape[1] == 1)
    if not is_samples and len(shape) != 3:
        raise ArtifactError(f"wants sound of shape {shape}, which is not known", where=path, remedy=_REMEDY)
    if is_samples:
        return "waveform"
    return "nemo" if sound.name == NEMO_INPUT else "kaldi-povey"


def _mels(sound: Any) -> tuple[bool, int]:
    """Whether mels come before time, and how many there are; the usual number where the file leaves it open."""
    sizes = [size if isinstance(size, int) and size > 1 else None for size in sound.shape]
    if len(sizes) == 3 and sizes[1] is not None and sizes[2] is None:
        return True, int(sizes[1])
    return False, int(sizes[-1] or USUAL_MELS) if len(sizes) == 3 else USUAL_MELS


def load(model: str | None, device: str | None, *, front_end: str | None = None) -> OnnxEmbedder:
    """The embedder in an ONNX file.

    front_end: one of `FRONT_ENDS`; by default what the file's input seems to want. Raises ArtifactError for a file that
    is missing, too large or no network of one sound, MissingDependencyError without onnxruntime, ValueError.
    """
    if model is None:
        raise ValueError("the onnx embedder needs a file: --model network.onnx")
    if front_end is not None and front_end not in FRONT_ENDS:
        raise ValueError(f"front end must be one of {', '.join(FRONT_ENDS)}, not {front_end!r}")
    path = Path(model).expanduser()
    if not path.is_file():
        raise ArtifactError("is no file", where=path, remedy=_REMEDY)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ArtifactError(
            f"is larger than {MAX_FILE_BYTES / 2**30:.0f} GiB, far more than a speaker network",
            where=path,
            remedy=_REMEDY,
        )
    return OnnxEmbedder(_open(path, device), path, front_end)


def _open(path: Path, device: str | None) -> Any:
    check_packages("onnx")
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 4
    known = onnxruntime.get_available_providers()
    wants_gpu = device is not None and device.startswith("cuda")
    if wants_gpu and "CUDAExecutionProvider" not in known:
        raise ValueError(
            f"this onnxruntime computes on no {device}: leave --device out, or install onnxruntime-gpu"
        )
    providers = [name for name in ("CUDAExecutionProvider",) if name in known and device != "cpu"]
    try:
        # from its bytes: a file that names others as its weights could name any file of this machine
        content = path.read_bytes()
        return onnxruntime.InferenceSession(content, settings, providers=[*providers, "CPUExecutionProvider"])
    # onnxruntime raises its own exceptions, which are no Python types one could name.
    except Exception as error:
        raise ArtifactError(
            f"is no ONNX network ({_first_line(error)})", where=path, remedy=_REMEDY
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
