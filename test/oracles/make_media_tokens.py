"""Writes token-counts.json, expanded-texts.json and mrope.json of packages/data/test/fixtures/media.

    python test/oracles/make_media_tokens.py LLAMAFACTORY

LLAMAFACTORY is a folder with the package of the LLaMA-Factory 0.9.3 wheel; only data/mm_plugin.py is run. Needs the
versions of requirements-media.txt and the files that make_media.py wrote.
"""

import io
import json
import random
import re
import sys
import types
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import librosa
import numpy as np
import torch
import transformers
from PIL import Image
from transformers import (
    CLIPImageProcessor,
    LlavaNextImageProcessor,
    LlavaNextVideoImageProcessor,
    PixtralImageProcessor,
    Qwen2VLImageProcessor,
    SiglipImageProcessor,
    VideoLlavaImageProcessor,
    WhisperFeatureExtractor,
)
from transformers.image_processing_utils import select_best_resolution
from transformers.models.gemma3.image_processing_gemma3 import Gemma3ImageProcessor
from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor, get_optimal_tiled_canvas
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

ROOT = Path(__file__).resolve().parents[2] / "packages/data/test/fixtures/media"
FILES = ROOT / "files"
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]


def load_plugins(folder: Path):
    """Imports mm_plugin.py without the package around it, which needs a trainer."""
    for name in ("llamafactory", "llamafactory.data", "llamafactory.extras"):
        module = types.ModuleType(name)
        module.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = module
    import llamafactory.data.mm_plugin as plugins

    return plugins


def defaults(**more) -> SimpleNamespace:
    """What LLaMA-Factory sets on every processor, from its defaults."""
    base = {
        "image_max_pixels": 768 * 768, "image_min_pixels": 32 * 32, "image_do_pan_and_scan": False,
        "crop_to_patches": False, "video_max_pixels": 256 * 256, "video_min_pixels": 16 * 16, "video_fps": 2.0,
        "video_maxlen": 128, "use_audio_in_video": False, "audio_sampling_rate": 16000,
        "model_input_names": ["pixel_values"],
    }
    return SimpleNamespace(**{**base, **more})


def llava_next(image_processor, **more) -> SimpleNamespace:
    processor = defaults(image_processor=image_processor, patch_size=14, num_additional_image_tokens=1,
                         vision_feature_select_strategy="default", **more)
    for name in ("_get_number_of_features", "_get_unpadded_features"):
        setattr(processor, name, types.MethodType(getattr(LlavaNextProcessor, name), processor))
    return processor


def chunked_index(self, indices, tokens_per_chunk):
    from transformers.models.qwen2_5_omni.processing_qwen2_5_omni import Qwen2_5OmniProcessor

    return Qwen2_5OmniProcessor.get_chunked_index(self, indices, tokens_per_chunk)


def nested_crops(image_processor):
    """The fast processor, which LLaMA-Factory expects, lists the crops per batch; the slow one does not."""

    def run(images, **settings):
        made = image_processor(images, **settings)
        return {**made, "num_crops": [[int(count) for count in made["num_crops"]]]}

    return run


def processors() -> dict:
    """Per case: LLaMA-Factory's plugin name, its tokens, and a processor with the settings of a published model."""
    qwen = Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=28 * 28 * 16384)
    whisper = WhisperFeatureExtractor(feature_size=128)
    omni_ears = WhisperFeatureExtractor(feature_size=128, chunk_length=300)
    got = GotOcr2ImageProcessor(size={"height": 448, "width": 448})
    gemma = Gemma3ImageProcessor(size={"height": 896, "width": 896})
    gemma_text = "\n\n<start_of_image>" + "<image_soft_token>" * 256 + "<end_of_image>\n\n"
    llava = dict(patch_size=14, num_additional_image_tokens=1, vision_feature_select_strategy="default")
    qwen_tokens = dict(image_token="<|image_pad|>", video_token="<|video_pad|>")
    omni_tokens = dict(image_token="<|IMAGE|>", video_token="<|VIDEO|>", audio_token="<|AUDIO|>")
    both = dict(image_token="<image>", video_token="<video>")
    omni = dict(image_processor=qwen, feature_extractor=omni_ears,
                get_chunked_index=types.MethodType(chunked_index, SimpleNamespace()))
    return {
        "qwen2_vl": ("qwen2_vl", qwen_tokens, defaults(image_processor=qwen)),
        "qwen2_vl_large": ("qwen2_vl", qwen_tokens, defaults(
            image_processor=qwen, image_max_pixels=4096 * 4096, video_max_pixels=512 * 512, video_fps=5.0,
            video_maxlen=6)),
        "llava": ("llava", dict(image_token="<image>"), defaults(
            image_processor=CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=336), **llava)),
        "llava_next": ("llava_next", dict(image_token="<image>"),
                       llava_next(LlavaNextImageProcessor(
                           size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336},
                           image_grid_pinpoints=PINPOINTS))),
        "llava_next_video": ("llava_next_video", both, llava_next(
            LlavaNextImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336},
                                    image_grid_pinpoints=PINPOINTS),
            video_processor=LlavaNextVideoImageProcessor(size={"shortest_edge": 336},
                                                         crop_size={"height": 336, "width": 336}))),
        "video_llava": ("video_llava", both, defaults(
            image_processor=VideoLlavaImageProcessor(size={"shortest_edge": 224},
                                                     crop_size={"height": 224, "width": 224}),
            patch_size=14, num_additional_image_tokens=1, vision_feature_select_strategy="default")),
        "intern_vl": ("intern_vl", both, defaults(image_processor=got, image_seq_length=256)),
        "intern_vl_tiles": ("intern_vl", both, defaults(
            image_processor=got, image_seq_length=256, crop_to_patches=True, image_max_pixels=2048 * 2048)),
        "gemma3": ("gemma3", dict(image_token="<image_soft_token>"), defaults(
            image_processor=gemma, boi_token="<start_of_image>", full_image_sequence=gemma_text)),
        "gemma3_crops": ("gemma3", dict(image_token="<image_soft_token>"), defaults(
            image_processor=nested_crops(gemma), boi_token="<start_of_image>", full_image_sequence=gemma_text,
            image_do_pan_and_scan=True, image_max_pixels=2048 * 2048)),
        "mllama": ("mllama", dict(image_token="<|image|>"), defaults(image_processor=got)),
        "paligemma": ("paligemma", dict(image_token="<image>"), defaults(
            image_processor=SiglipImageProcessor(), image_seq_length=256)),
        "pixtral": ("pixtral", dict(image_token="[IMG]"), defaults(
            image_processor=PixtralImageProcessor(size={"longest_edge": 1024}, patch_size={"height": 16, "width": 16}),
            patch_size=16, image_break_token="[IMG_BREAK]", image_end_token="[IMG_END]",
            image_max_pixels=2048 * 2048)),
        "qwen2_audio": ("qwen2_audio", dict(audio_token="<|AUDIO|>"), defaults(
            feature_extractor=whisper, audio_bos_token="<|audio_bos|>", audio_eos_token="<|audio_eos|>")),
        "qwen2_omni": ("qwen2_omni", omni_tokens, defaults(**omni)),
        "qwen2_omni_joined": ("qwen2_omni", omni_tokens, defaults(**omni, use_audio_in_video=True)),
    }


SIZES = [(1, 1), (10, 10), (20, 300), (27, 27), (28, 28), (29, 31), (32, 32), (37, 23), (28, 5600), (28, 5700), (9000, 40),
         (100, 100), (224, 224), (300, 200), (336, 336), (384, 512), (448, 448), (480, 640), (500, 375), (580, 403),
         (640, 480), (672, 336), (700, 701), (768, 768), (769, 768), (800, 600), (896, 448), (1000, 333), (1024, 1024),
         (1024, 768), (1200, 300), (1280, 720), (1345, 771), (1600, 400), (1920, 1080), (2000, 1999), (2048, 2048),
         (333, 1000), (400, 1600), (720, 1280), (1080, 1920), (2480, 3508), (3000, 2000), (56, 2000), (1999, 57)]

VIDEOS = ["h264-10fps.mp4", "h264-ntsc.mp4", "h264-fragmented.mp4", "mpeg4.mov", "sound.mp4", "vp9.webm", "h264.mkv",
          "mpeg4.avi", "one-frame.mp4"]
AUDIOS = ["float.wav", "jfk.mp3", "mono.flac", "opus.ogg", "pcm16-stereo.wav", "tone.mp3", "vorbis.ogg"]
SAMPLES = [1, 159, 160, 161, 320, 400, 1599, 16000, 16001, 47999, 163840, 479999, 480000, 480001, 960000]


def shorten(text: str) -> str:
    """Runs of one token as token*count."""
    token = re.compile(r"(<[^<>\n]{1,24}>|\[IMG\])(\1+)")
    return token.sub(lambda match: f"{match[1]}*{len(match[0]) // len(match[1])}", text)


def resampled(name: str) -> np.ndarray:
    """What LLaMA-Factory loads."""
    return librosa.load(str(FILES / name), sr=16000)[0]


def png_bytes(size: tuple) -> dict:
    """A picture as data sets store it."""
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def expand(plugins, case: str, content: str, images=(), videos=(), audios=()) -> dict:
    name, tokens, processor = processors()[case]
    plugin = plugins.get_mm_plugin(name, **tokens)
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "Yes."}]
    made = [Image.new("RGB", size) if isinstance(size, tuple) else str(FILES / size) for size in images]
    clips = [[png_bytes(size) for size in clip] if isinstance(clip, list) else str(FILES / clip) for clip in videos]
    sounds = [resampled(item) if isinstance(item, str) else np.zeros(item, dtype=np.float32) for item in audios]
    entry = {"case": case, "content": content, "images": images, "videos": videos, "audios": audios}
    try:
        done = plugin.process_messages(messages, made, clips, sounds, processor)
        entry["text"] = shorten(done[0]["content"])
        if name == "paligemma":
            tokenizer = SimpleNamespace(convert_tokens_to_ids=lambda token: 7)
            ids, _ = plugin.process_token_ids([1], [1], made, [], [], tokenizer, processor)
            entry["prefix"] = ids.count(7)
        if case.startswith("qwen2_vl"):
            inputs = plugin._get_mm_inputs(made, clips, [], SimpleNamespace(
                **{**vars(processor), "model_input_names": ["second_per_grid_ts"]}))
            for key in ("image_grid_thw", "video_grid_thw"):
                if key in inputs:
                    entry[key] = inputs[key].tolist()
            if "second_per_grid_ts" in inputs:
                entry["second_per_grid_ts"] = inputs["second_per_grid_ts"]
    except Exception as error:
        entry["error"] = f"{type(error).__name__}: {error}"[:160]
    return entry


def expanded_texts(plugins) -> list:
    cases = []
    pictures = ["qwen2_vl", "qwen2_vl_large", "llava", "llava_next", "intern_vl", "intern_vl_tiles", "gemma3",
                "gemma3_crops", "pixtral"]
    for case in pictures:
        cases += [expand(plugins, case, "a <image> b", images=[size]) for size in SIZES]
    for case in [*pictures, "mllama", "paligemma", "llava_next_video", "video_llava", "qwen2_omni"]:
        pair = ["dog_on_skateboard.jpg", "orientation-6.jpg"]
        cases.append(expand(plugins, case, "<image>one, <image> two", images=pair))
    for case in ["qwen2_vl", "qwen2_vl_large", "intern_vl", "llava_next_video", "video_llava", "qwen2_omni"]:
        cases += [expand(plugins, case, "<video>What?", videos=[name]) for name in VIDEOS]
        cases.append(expand(plugins, case, "<video> or <video>", videos=["mpeg4.mov", "mpeg4.mov"]))
    cases.append(expand(plugins, "qwen2_vl", "<video>, <video>", videos=["mpeg4.avi", "mpeg4.mov"]))
    cases.append(expand(plugins, "qwen2_vl", "<video>", videos=[[(300, 200)] * 5]))
    cases.append(expand(plugins, "qwen2_vl", "<image><video>", images=[(640, 480)], videos=["h264-10fps.mp4"]))
    for case in ["qwen2_audio", "qwen2_omni"]:
        cases += [expand(plugins, case, "<audio>Say.", audios=[item]) for item in [*AUDIOS, *SAMPLES]]
    cases.append(expand(plugins, "qwen2_audio", "<audio>, <audio>", audios=["jfk.mp3", "mono.flac"]))
    for samples in (8000, 24000, 100000):
        cases.append(expand(plugins, "qwen2_omni_joined", "<video><audio>!", videos=["mpeg4.mov"], audios=[samples]))
    cases.append(expand(plugins, "qwen2_omni_joined", "<video><audio>!", videos=["one-frame.mp4"], audios=[100]))
    return cases


def samplings(plugins) -> list:
    """How many pictures are taken from videos of many lengths: [frames, seconds, fps, most, taken]."""
    plugin = plugins.get_mm_plugin("qwen2_vl", image_token="a", video_token="b")
    rates = [Fraction(text) for text in ("10", "12", "15/2", "24000/1001", "24", "25", "30000/1001", "50", "60")]
    rows = []
    for rate in rates:
        for frames in (0, 1, 2, 5, 15, 31, 60, 90, 150, 1800, 100000):
            stream = SimpleNamespace(frames=frames, duration=frames, time_base=1 / rate)
            for fps, most in ((2.0, 128), (1.0, 8), (5.0, 1000), (float(rate), 100000)):
                taken = len(plugin._get_video_sample_indices(stream, video_fps=fps, video_maxlen=most))
                rows.append([frames, float(frames / rate), fps, most, taken])
    return rows


def counts(plugins) -> dict:
    chance = random.Random(7)
    sizes = SIZES + [(int(10 ** chance.uniform(0.5, 4)), int(10 ** chance.uniform(0.5, 4))) for _ in range(400)]
    processor = llava_next(SimpleNamespace(image_grid_pinpoints=PINPOINTS))
    gemma = Gemma3ImageProcessor()
    rows = []
    for width, height in sizes:
        try:
            resized = list(smart_resize(height, width, 28, 56 * 56, 28 * 28 * 1280))
        except ValueError:
            resized = None
        crops = gemma.pan_and_scan(np.zeros((height, width, 1), dtype=np.uint8)[:, :, :1], 256, 4, 1.2,
                                   input_data_format="channels_last") if width * height < 4e6 else None
        rows.append({
            "size": [width, height],
            "qwen2_vl": resized,
            "llava_next": processor._get_number_of_features(height, width, 336, 336),
            "best_resolution": list(select_best_resolution((height, width), PINPOINTS)),
            "intern_vl": list(get_optimal_tiled_canvas((height, width), (448, 448), 1, 12)),
            "gemma3_crops": None if crops is None else len(crops),
        })
    return {"transformers": transformers.__version__, "samplings": samplings(plugins), "rows": rows}


def rope_case(chance: random.Random, with_time: bool) -> dict:
    """A sequence of text, pictures and videos in Qwen's tokens, and its positions."""
    start, end, image, video = 1, 2, 3, 4
    ids, images, videos, seconds = [], [], [], []
    for _ in range(chance.randint(1, 5)):
        ids += [10 + chance.randint(0, 5) for _ in range(chance.randint(0, 5))]
        kind = chance.choice(["text", "image", "video"])
        if kind == "text":
            continue
        grid = [1 if kind == "image" else chance.randint(1, 4), 2 * chance.randint(1, 4), 2 * chance.randint(1, 4)]
        (images if kind == "image" else videos).append(grid)
        if kind == "video":
            seconds.append(chance.choice([0.5, 1.0, 1.25, 2.0, 2.7]))
        count = grid[0] * grid[1] * grid[2] // 4
        ids += [start] + [image if kind == "image" else video] * count + [end]
    ids += [10 + chance.randint(0, 5) for _ in range(chance.randint(1, 4))]
    config = SimpleNamespace(
        vision_config=SimpleNamespace(spatial_merge_size=2, tokens_per_second=2),
        image_token_id=image, video_token_id=video, vision_start_token_id=start)
    arguments = dict(
        input_ids=torch.tensor([ids]),
        image_grid_thw=torch.tensor(images) if images else None,
        video_grid_thw=torch.tensor(videos) if videos else None)
    if with_time and videos:
        arguments["second_per_grid_ts"] = torch.tensor(seconds)
    model = Qwen2_5_VLModel if with_time else Qwen2VLModel
    positions, delta = model.get_rope_index(SimpleNamespace(config=config), **arguments)
    return {"model": "qwen2_5_vl" if with_time else "qwen2_vl", "ids": ids, "images": images, "videos": videos,
            "seconds": seconds, "positions": positions[:, 0].tolist(), "delta": int(delta.flatten()[0])}


def main() -> None:
    plugins = load_plugins(Path(sys.argv[1]))
    texts = json.dumps(expanded_texts(plugins), ensure_ascii=False).replace('}, {"case"', '},\n{"case"')
    (ROOT / "expanded-texts.json").write_text(texts + "\n")
    rows = json.dumps(counts(plugins)).replace('}, {"size"', '},\n{"size"')
    (ROOT / "token-counts.json").write_text(rows + "\n")
    chance = random.Random(11)
    cases = [rope_case(chance, with_time) for with_time in (False, True) for _ in range(20)]
    (ROOT / "mrope.json").write_text(json.dumps(cases).replace('}, {"model"', '},\n{"model"') + "\n")


if __name__ == "__main__":
    main()
