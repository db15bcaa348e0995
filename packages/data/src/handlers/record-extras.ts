/** What any dialogue record may carry besides its turns: tools, images, videos, audios, time series. */
import { isRejection, type RecordMedia, type Rejection } from './conversation.js';
import type { RecordColumns } from './record-columns.js';
import { type JsonRecord, toolList, wrongType } from './record-fields.js';

/** Tools and media of a record; absent where it has none. */
export interface RecordExtras {
  readonly tools?: readonly unknown[];
  readonly toolsText?: string;
  readonly media?: RecordMedia;
}

/** Reads tools and media; a medium may stand alone or in a list. */
export function parseExtras(record: JsonRecord, columns: RecordColumns): RecordExtras | Rejection {
  const tools = toolList(record, columns.tools);
  if (isRejection(tools)) return tools;
  const images = mediaList(record, columns.images);
  if (isRejection(images)) return images;
  const videos = mediaList(record, columns.videos);
  if (isRejection(videos)) return videos;
  const audios = mediaList(record, columns.audios);
  if (isRejection(audios)) return audios;
  const series = seriesList(record, columns.series);
  if (isRejection(series)) return series;
  const text = record[columns.tools];
  const hasMedia = images.length + videos.length + audios.length + series.length > 0;
  return {
    ...(tools === undefined ? {} : { tools }),
    ...(tools !== undefined && typeof text === 'string' ? { toolsText: text } : {}),
    ...(hasMedia
      ? { media: { images, videos, audios, ...(series.length === 0 ? {} : { series }) } }
      : {}),
  };
}

function mediaList(record: JsonRecord, column: string): readonly unknown[] | Rejection {
  const value = record[column];
  if (value === undefined || value === null) return [];
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  const odd = items.findIndex((item) => !isMedium(item));
  if (odd < 0) return items;
  const where = Array.isArray(value) ? `${column}[${odd}]` : column;
  return wrongType(
    where,
    items[odd],
    'a path, an object with a path or bytes, or a list of frames',
  );
}

/** A list of numbers is one series; any other list holds several. */
function seriesList(record: JsonRecord, column: string): readonly unknown[] | Rejection {
  const value = column === '' ? undefined : record[column];
  if (value === undefined || value === null) return [];
  const isOne = !Array.isArray(value) || typeof value[0] === 'number';
  const items: readonly unknown[] = isOne ? [value] : value;
  const odd = items.findIndex((item) => typeof item !== 'object' || item === null);
  if (odd < 0) return items;
  const where = isOne ? column : `${column}[${odd}]`;
  return wrongType(where, items[odd], 'a list of numbers or channels, or an object with values');
}

function isMedium(item: unknown): boolean {
  return (typeof item === 'string' && item !== '') || (typeof item === 'object' && item !== null);
}
