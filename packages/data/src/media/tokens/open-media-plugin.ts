/** Media plugins by name, and the expansion of all media of a conversation. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../../errors.js';
import { MediaFault } from '../measure/media-fault.js';
import {
  llavaExpander,
  llavaNextExpander,
  llavaNextVideoExpander,
  videoLlavaExpander,
} from './llava-expanders.js';
import {
  gemma3Expander,
  internVlExpander,
  miniCpmExpander,
  mllamaExpander,
  paliGemmaExpander,
  pixtralExpander,
} from './other-expanders.js';
import {
  type ExpandedMedia,
  type ExpandedMedium,
  MEDIA_PLUGIN_NAMES,
  type MeasuredMedia,
  type MediaExpander,
  type MediaPluginName,
  type MediaPluginSettings,
  type ResolvedSettings,
  resolveSettings,
} from './plugin.js';
import { qwenAudioExpander, qwenOmniExpander, qwenVlExpander } from './qwen-expanders.js';

const EXPANDERS: {
  readonly [name in MediaPluginName]: (settings: ResolvedSettings) => MediaExpander;
} = {
  qwen2_vl: qwenVlExpander,
  qwen2_audio: qwenAudioExpander,
  qwen2_omni: qwenOmniExpander,
  llava: llavaExpander,
  llava_next: llavaNextExpander,
  llava_next_video: llavaNextVideoExpander,
  video_llava: videoLlavaExpander,
  intern_vl: internVlExpander,
  gemma3: gemma3Expander,
  paligemma: paliGemmaExpander,
  pixtral: pixtralExpander,
  mllama: mllamaExpander,
  minicpm_v: miniCpmExpander,
};

/** A plugin ready for use: a pure function of measures. */
export interface MediaPlugin {
  readonly name: MediaPluginName;
  /** A token in front of the sample, `count` per picture; PaliGemma alone. */
  readonly prefix?: { readonly token: string; readonly count: number };
  /** Gives the text of each placeholder. Throws: {@link MediaFault} for media that the model cannot take. */
  expand(media: MeasuredMedia): ExpandedMedia;
}

/**
 * Opens a plugin.
 *
 * Throws: `DATA_UNKNOWN_MEDIA_PLUGIN`; `DATA_BAD_OPTION` for settings and `DATA_BAD_MEDIA_CONFIG` for numbers of the model
 * that make no sense.
 */
export function openMediaPlugin(settings: MediaPluginSettings): MediaPlugin {
  const open = Object.hasOwn(EXPANDERS, settings.plugin) ? EXPANDERS[settings.plugin] : undefined;
  if (open === undefined) {
    const known = MEDIA_PLUGIN_NAMES.join(', ');
    throw new TuneyardError(
      DATA_ERRORS.DATA_UNKNOWN_MEDIA_PLUGIN,
      `there is no media plugin '${settings.plugin}'; known: ${known}`,
    );
  }
  const expander = open(resolveSettings(settings));
  return {
    name: settings.plugin,
    ...(expander.prefix === undefined ? {} : { prefix: expander.prefix }),
    expand: (media) => expandAll(media, expander, settings.plugin),
  };
}

function expandAll(media: MeasuredMedia, expander: MediaExpander, name: string): ExpandedMedia {
  const counts = {
    image: media.images.length,
    video: media.videos.length,
    audio: media.audios.length,
  };
  for (const kind of ['image', 'video', 'audio'] as const) {
    if (counts[kind] > 0 && expander[kind] === undefined) {
      throw new MediaFault('unsupported_content', `${name} takes no ${kind}`);
    }
  }
  const { image, video, audio, videoWithAudio, apart } = expander;
  const isApart = apart?.every((kind) => kind !== 'series' && counts[kind] > 0) ?? false;
  if (isApart) {
    throw new MediaFault('unsupported_content', `${name} takes no ${apart?.join(' beside a ')}`);
  }
  const images = expandList('images', media.images, image);
  if (videoWithAudio !== undefined && counts.video > 0 && counts.audio > 0) {
    return { images, ...joinSounds(media, videoWithAudio) };
  }
  const videos = expandList('videos', media.videos, video);
  return { images, videos, audios: expandList('audios', media.audios, audio) };
}

/** Expands one list; a fault is told with its place. */
function expandList<T>(
  column: string,
  list: readonly T[],
  expand: ((item: T, index: number) => ExpandedMedium) | undefined,
): ExpandedMedium[] {
  if (expand === undefined) return [];
  return list.map((item, index) => {
    try {
      return expand(item, index);
    } catch (error) {
      if (!(error instanceof MediaFault)) throw error;
      throw new MediaFault(error.bucket, `${column}[${index}]: ${error.message}`);
    }
  });
}

function joinSounds(
  { videos, audios }: MeasuredMedia,
  join: NonNullable<MediaExpander['videoWithAudio']>,
): Pick<ExpandedMedia, 'videos' | 'audios'> {
  if (videos.length !== audios.length) {
    const found = `${videos.length} videos and ${audios.length} sounds`;
    throw new MediaFault('media_count_mismatch', `${found}; each video needs its own sound`);
  }
  const pairs = videos.flatMap((video, i) => {
    const audio = audios[i];
    return audio === undefined ? [] : [{ video, audio }];
  });
  const joined = expandList('videos', pairs, ({ video, audio }) => join(video, audio));
  return { videos: joined, audios: audios.map(() => ({ text: '', tokens: 0 })) };
}
