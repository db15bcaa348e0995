"""Writes packages/data/test/fixtures/media: small media files and what Pillow, PyAV and libsndfile say about them.

Run with the versions of requirements-media.txt:

    python test/oracles/make_media.py ASSETS

ASSETS is a folder with dog_on_skateboard.jpg and jfk.mp3 (see the fixtures' README.md); without it these two are left
as they are.
"""

import json
import math
import shutil
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image, features

ROOT = Path(__file__).resolve().parents[2] / "packages/data/test/fixtures/media"
FILES = ROOT / "files"


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth picture: it compresses well and its size is its own."""
    y, x = np.mgrid[0:height, 0:width]
    red = (x * 255 // max(1, width - 1)).astype(np.uint8)
    green = (y * 255 // max(1, height - 1)).astype(np.uint8)
    blue = ((x + y + seed * 16) % 256).astype(np.uint8)
    return Image.fromarray(np.stack([red, green, blue], axis=-1))


def write_images() -> None:
    picture(37, 23).save(FILES / "rgb.png")
    picture(19, 40).convert("L").save(FILES / "grey.png")
    picture(120, 80).save(FILES / "baseline.jpg", quality=70)
    picture(121, 77).save(FILES / "progressive.jpg", quality=70, progressive=True)
    for orientation in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture(90, 60).save(FILES / f"orientation-{orientation}.jpg", exif=exif, quality=60)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(50, 30).save(FILES / "orientation-6.png", exif=exif)
    picture(50, 30).save(FILES / "orientation-6.webp", exif=exif)
    picture(64, 33).save(FILES / "lossy.webp", quality=60)
    picture(65, 34).save(FILES / "lossless.webp", lossless=True)
    frames = [picture(40, 41, seed) for seed in range(3)]
    frames[0].save(FILES / "animated.webp", save_all=True, append_images=frames[1:], duration=100)
    picture(31, 17).save(FILES / "still.gif")
    frames[0].save(FILES / "animated.gif", save_all=True, append_images=frames[1:], duration=100)
    picture(33, 21).save(FILES / "rgb.bmp")
    picture(45, 29).save(FILES / "little.tiff", compression="tiff_lzw")
    big_endian = np.arange(12 * 7, dtype=">u2").tobytes()
    Image.frombytes("I;16B", (12, 7), big_endian).save(FILES / "big.tiff")


def write_video(name: str, codec: str, rate: Fraction, frames: int, size=(64, 48), audio=False, options=None) -> None:
    with av.open(str(FILES / name), "w", options=options or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        sound = out.add_stream("aac", rate=16000, layout="mono") if audio else None
        for index in range(frames):
            frame = av.VideoFrame.from_image(picture(*size, index))
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
        if sound is not None:
            write_tone(out, sound, 16000, float(frames / rate))


def write_tone(out, stream, rate: int, seconds: float) -> None:
    samples = (np.sin(np.arange(int(rate * seconds)) * 2 * math.pi * 440 / rate) * 8000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate, frame_size=1024)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        for packet in stream.encode(piece):
            out.mux(packet)
    for packet in stream.encode():
        out.mux(packet)


def write_videos() -> None:
    write_video("h264-10fps.mp4", "libx264", Fraction(10), 25)
    write_video("h264-ntsc.mp4", "libx264", Fraction(30000, 1001), 45, size=(80, 46))
    write_video("h264-fragmented.mp4", "libx264", Fraction(10), 25, options={"movflags": "frag_keyframe+empty_moov"})
    write_video("mpeg4.mov", "mpeg4", Fraction(25), 50)
    write_video("sound.mp4", "libx264", Fraction(8), 12, audio=True)
    write_video("vp9.webm", "libvpx-vp9", Fraction(12), 30)
    write_video("h264.mkv", "libx264", Fraction(24), 36)
    write_video("mpeg4.avi", "mpeg4", Fraction(15), 33, size=(48, 32))
    write_video("one-frame.mp4", "libx264", Fraction(25), 1)


def tone(rate: int, samples: int) -> np.ndarray:
    return (np.sin(np.arange(samples) * 2 * math.pi * 440 / rate) * 0.3).astype(np.float32)


def write_sounds() -> None:
    with wave.open(str(FILES / "pcm16-stereo.wav"), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes((np.stack([tone(8000, 4321)] * 2, axis=1) * 32767).astype("<i2").tobytes())
    soundfile.write(FILES / "float.wav", tone(44100, 11111), 44100, subtype="FLOAT")
    soundfile.write(FILES / "mono.flac", tone(22050, 7777), 22050)
    soundfile.write(FILES / "vorbis.ogg", tone(44100, 22050), 44100, format="OGG", subtype="VORBIS")
    soundfile.write(FILES / "opus.ogg", tone(48000, 24000), 48000, format="OGG", subtype="OPUS")
    soundfile.write(FILES / "tone.mp3", tone(44100, 22050), 44100, format="MP3")
    with av.open(str(FILES / "aac.m4a"), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        write_tone(out, stream, 16000, 0.75)


def copy_assets(folder: Path) -> None:
    for name in ("dog_on_skateboard.jpg", "jfk.mp3"):
        for found in folder.rglob(name):
            shutil.copyfile(found, FILES / name)
            (FILES / name).chmod(0o644)


def image_truth(path: Path) -> dict:
    with Image.open(path) as image:
        orientation = image.getexif().get(0x0112, 1)
        image.load()
        return {"kind": "image", "format": image.format.lower(), "width": image.width, "height": image.height,
                "orientation": orientation, "frames": getattr(image, "n_frames", 1)}


def video_truth(path: Path) -> dict:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        duration = None if stream.duration is None else float(stream.duration * stream.time_base)
        return {"kind": "video", "width": stream.width, "height": stream.height, "declared_frames": stream.frames,
                "decoded_frames": frames, "duration": duration, "has_audio": len(container.streams.audio) > 0}


def audio_truth(path: Path) -> dict:
    try:
        info = soundfile.info(str(path))
        return {"kind": "audio", "by": "libsndfile", "sample_rate": info.samplerate, "channels": info.channels,
                "samples": info.frames}
    except soundfile.LibsndfileError:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            samples = sum(frame.samples for frame in container.decode(stream))
            return {"kind": "audio", "by": "ffmpeg", "sample_rate": stream.sample_rate,
                    "channels": stream.channels, "samples": samples}


TRUTH = {
    image_truth: {".png", ".jpg", ".webp", ".gif", ".bmp", ".tiff"},
    video_truth: {".mp4", ".mov", ".webm", ".mkv", ".avi"},
    audio_truth: {".wav", ".flac", ".ogg", ".mp3", ".m4a"},
}


def main() -> None:
    FILES.mkdir(parents=True, exist_ok=True)
    write_images()
    write_videos()
    write_sounds()
    if len(sys.argv) > 1:
        copy_assets(Path(sys.argv[1]))
    measured = {}
    for path in sorted(FILES.iterdir()):
        for truth, extensions in TRUTH.items():
            if path.suffix in extensions:
                measured[path.name] = truth(path)
    versions = {"pillow": Image.__version__, "pyav": av.__version__, "soundfile": soundfile.__version__,
                "libsndfile": soundfile.__libsndfile_version__, "webp": features.version("webp")}
    (ROOT / "measured.json").write_text(json.dumps({"made_with": versions, "files": measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
