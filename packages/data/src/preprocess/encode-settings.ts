/** What encoding depends on, as plain data: it crosses to threads and is part of what a resumed job compares. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openPromptTemplate, type PromptTemplate } from '../encode/prompt-template.js';
import type { HandlerSettings } from '../handlers/open-row-handler.js';
import type { MediaCheckerSettings } from '../media/media-checker.js';
import type { ToolFormat } from '../templates/slots/slot-spec.js';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';

/** One data set of a job. */
export interface EncodedDataset {
  /** Named in reports. */
  readonly name: string;
  readonly handler: HandlerSettings;
  /** Columns that a columnar file is read for; null = all. */
  readonly columns: readonly string[] | null;
}

/** How records become token fields. */
export interface EncodeSettings {
  /** Model directory, tokenizer file or GGUF file. */
  readonly tokenizer: string;
  /** Null where no handler of the job renders dialogues. */
  readonly template: TemplateSettings | null;
  /** Milliseconds since 1970 of the date that a template tells; left out = now. */
  readonly startedAt?: number;
  readonly datasets: readonly EncodedDataset[];
  /** Documents are cut into pieces of at most this many tokens; null = kept whole, as Megatron wants them. */
  readonly documentLength: number | null;
  /** How pictures, videos, sounds and series of dialogues are taken; null = records that have any are refused. */
  readonly media: MediaSettings | null;
  /** Parts carry a digest of every sample, so that repeated ones can be left out. */
  readonly digests: boolean;
}

/** What media become. */
export interface MediaSettings extends Omit<MediaCheckerSettings, 'signal' | 'mediaDir'> {
  /** Folder that paths are relative to, by data set. */
  readonly mediaDirs: readonly string[];
  /** Column of number lists, shown in the text as `<ts>`. */
  readonly seriesColumn?: string;
}

/** The prompt template, by name. */
export interface TemplateSettings {
  readonly name: string;
  readonly defaultSystem?: string;
  readonly toolFormat?: ToolFormat;
  readonly enableThinking?: boolean | null;
}

/** A tokenizer with the template that writes for it. */
export interface OpenedEncoding {
  readonly tokenizer: Tokenizer;
  readonly template: PromptTemplate | null;
  readonly generationConfig: Readonly<Record<string, unknown>> | null;
}

/** Opens what settings name. Throws: the codes of tokenizers and templates. */
export async function openEncoding(
  settings: Pick<EncodeSettings, 'tokenizer' | 'template' | 'startedAt'>,
): Promise<OpenedEncoding> {
  const tokenizer = await loadTokenizer(settings.tokenizer);
  const generationConfig = await readGenerationConfig(settings.tokenizer);
  if (settings.template === null) return { tokenizer, template: null, generationConfig };
  const modelPath = settings.tokenizer;
  const { startedAt } = settings;
  const template = await openPromptTemplate({
    ...settings.template,
    modelPath,
    tokenizer,
    generationConfig,
    ...(startedAt === undefined ? {} : { now: () => new Date(startedAt) }),
  });
  return { tokenizer, template, generationConfig };
}

/** The `generation_config.json` beside a tokenizer; null when there is none. */
export async function readGenerationConfig(
  modelPath: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  try {
    const text = await readFile(join(modelPath, 'generation_config.json'), 'utf8');
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    // A GGUF file is no directory, and a model directory need not have the file.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
