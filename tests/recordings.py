"""Real recordings in every format that the libraries here can write, for tests."""

import io
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile


def voice(duration_s, sample_rate_hz=16_000, *, seed=0):
    """A rising tone under noise: no stretch of it resembles another, so a wrong place is seen. f32 in -0.5..0.5."""
    t = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.3 * np.sin(2 * np.pi * (200 + 30 * t) * t) + 0.02 * noise).astype(np.float32)


@dataclass(frozen=True)
class Format:
    """How to write a format, what it should be told as, and how far a decoded sample may be from another decoding."""

    name: str
    container: str
    codec: str
    sample_rate_hz: int
    writer: str
    tolerance: float = 1e-4
    max_shift_s: float = 0.0


# Read but not written by the libraries here, and so not among these: AMR-WB, Vorbis in WebM.
# AAC and AC-3 decoders fill bands with noise of their own, which differs from one decoding to the next.
FORMATS = (
    Format("wav", "wav", "pcm_16", 16_000, "sndfile WAV PCM_16"),
    Format("wav-24", "wav", "pcm_24", 44_100, "sndfile WAV PCM_24"),
    Format("wav-float", "wav", "float", 48_000, "sndfile WAV FLOAT"),
    Format("wav-mulaw", "wav", "ulaw", 8_000, "sndfile WAV ULAW"),
    Format("wav-alaw", "wav", "alaw", 8_000, "sndfile WAV ALAW"),
    Format("wav-gsm", "wav", "gsm610", 8_000, "sndfile WAV GSM610", tolerance=5e-3),
    Format("wav-adpcm", "wav", "ima_adpcm", 8_000, "sndfile WAV IMA_ADPCM"),
    Format("wav-g721", "wav", "g721_32", 8_000, "sndfile WAV G721_32"),
    Format("rf64", "rf64", "pcm_16", 16_000, "sndfile RF64 PCM_16"),
    Format("aiff", "aiff", "pcm_16", 16_000, "sndfile AIFF PCM_16"),
    Format("flac", "flac", "pcm_16", 16_000, "sndfile FLAC PCM_16"),
    Format("ogg", "ogg", "vorbis", 22_050, "sndfile OGG VORBIS"),
    Format("opus", "ogg", "opus", 48_000, "sndfile OGG OPUS", tolerance=2e-3),
    Format("mp3", "mp3", "mp3float", 16_000, "sndfile MP3 MPEG_LAYER_III"),
    Format("mp3-8k", "mp3", "mp3float", 8_000, "sndfile MP3 MPEG_LAYER_III"),
    Format("gsm", "gsm", "gsm", 8_000, "sndfile RAW GSM610", tolerance=5e-3),
    Format("aac", "aac", "aac", 16_000, "ffmpeg adts aac", tolerance=0.1),
    Format("m4a", "mov", "aac", 44_100, "ffmpeg ipod aac", tolerance=0.1),
    Format("m4a-alac", "mov", "alac", 44_100, "ffmpeg ipod alac"),
    Format("webm", "matroska", "opus", 48_000, "ffmpeg webm libopus", tolerance=2e-3, max_shift_s=1e-3),
    Format("amr", "amr", "amrnb", 8_000, "ffmpeg amr libopencore_amrnb", tolerance=5e-3),
    Format("wma", "asf", "wmav2", 44_100, "ffmpeg asf wmav2", max_shift_s=1e-3),
    Format("wma-1", "asf", "wmav1", 44_100, "ffmpeg asf wmav1", max_shift_s=1e-3),
    Format("mkv-ac3", "matroska", "ac3", 48_000, "ffmpeg matroska ac3", tolerance=0.1, max_shift_s=1e-3),
    Format("ts", "mpegts", "aac", 48_000, "ffmpeg mpegts aac", tolerance=0.1),
    Format("mp4-video", "mov", "aac", 48_000, "ffmpeg mp4 aac with-pictures", tolerance=0.1),
)


def write(path: Path, form: Format, samples, *, layout="mono") -> Path:
    """Write samples (t, or t × channels) in a format, under whatever name `path` has."""
    library, *how = form.writer.split()
    if library == "sndfile":
        stream = io.BytesIO()
        soundfile.write(stream, samples, form.sample_rate_hz, format=how[0], subtype=how[1])
        path.write_bytes(stream.getvalue())
    else:
        encode(
            path,
            samples,
            form.sample_rate_hz,
            container=how[0],
            codec=how[1],
            layout=layout,
            has_pictures=len(how) > 2,
        )
    return path


def encode(path, samples, sample_rate_hz, *, container, codec, layout="mono", has_pictures=False, **options):
    """Write samples through FFmpeg; `options` are the container's."""
    with (
        path.open("wb") as stream,
        av.open(_Unnamed(stream), "w", format=container, options=options) as media,
    ):
        if has_pictures:
            pictures = media.add_stream("mpeg4", rate=10)
            pictures.width = pictures.height = 32
            pictures.pix_fmt = "yuv420p"
        track = media.add_stream(codec, rate=sample_rate_hz, layout=layout)
        track.bit_rate = 12_200 if "amr" in codec else 96_000
        if has_pictures:
            for number in range(round(10 * len(samples) / sample_rate_hz)):
                frame = av.VideoFrame.from_ndarray(
                    np.full((32, 32, 3), number % 255, np.uint8), format="rgb24"
                )
                media.mux(pictures.encode(frame))
            media.mux(pictures.encode(None))
        whole = (np.atleast_2d(samples.T) * 32767).round().astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(whole.T.reshape(1, -1)), format="s16", layout=layout
        )
        frame.sample_rate, frame.pts = sample_rate_hz, 0
        fitting = av.AudioResampler(
            track.codec_context.format,
            layout,
            sample_rate_hz,
            frame_size=track.codec_context.frame_size or 1024,
        )
        for piece in [*fitting.resample(frame), *fitting.resample(None)]:
            media.mux(track.encode(piece))
        media.mux(track.encode(None))


class _Unnamed:
    def __init__(self, stream):
        self.write, self.seek, self.tell = stream.write, stream.seek, stream.tell
