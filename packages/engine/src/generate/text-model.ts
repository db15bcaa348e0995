/** A model opened to be asked: weights, tokenizer, chat template, and an adapter where wanted. */
import { type ChatTemplate, loadChatTemplate, loadTokenizer, type Tokenizer } from '@tuneyard/data';
import { type ModelSource, openModel, readPeftAdapter } from '@tuneyard/weights';
import { CausalModel, type MemoryAdapter } from '../model/causal-model.js';
import type { BaseType } from '../model/placement.js';

/** How a model is opened. */
export interface TextModelOptions {
  /** A Hugging Face directory or a GGUF file. */
  readonly path: string;
  /** A PEFT adapter directory to put on top. */
  readonly adapterPath?: string | undefined;
  /** Default `auto`: weights stay as they are stored. */
  readonly baseType?: BaseType | undefined;
  /** Default 1. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An open model with what turns text into tokens and back; close it to free its memory. */
export class TextModel implements Disposable {
  readonly model: CausalModel;
  readonly tokenizer: Tokenizer;
  /** The model's own chat template, or null when it has none. */
  readonly chatTemplate: ChatTemplate | null;
  /** Token ids after which generation stops: the model's and its generation config's. */
  readonly stopTokenIds: readonly number[];

  constructor(parts: {
    model: CausalModel;
    tokenizer: Tokenizer;
    chatTemplate: ChatTemplate | null;
    stopTokenIds: readonly number[];
  }) {
    this.model = parts.model;
    this.tokenizer = parts.tokenizer;
    this.chatTemplate = parts.chatTemplate;
    this.stopTokenIds = parts.stopTokenIds;
  }

  close(): void {
    this.model.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a model with its tokenizer, its chat template where it has one, and an adapter where asked.
 *
 * Throws: what reading the model, its tokenizer or the adapter throws; `MODEL_ADAPTER_MISMATCH`.
 */
export async function openTextModel(options: TextModelOptions): Promise<TextModel> {
  const { path, adapterPath } = options;
  const source = await openModel(path);
  try {
    const adapter: MemoryAdapter | null =
      adapterPath === undefined ? null : await readPeftAdapter(adapterPath);
    const tokenizer = await loadTokenizer(path);
    const chatTemplate = await loadChatTemplate(path, tokenizer);
    const model = await CausalModel.open(source, { ...options, adapter });
    return new TextModel({
      model,
      tokenizer,
      chatTemplate,
      stopTokenIds: stopTokens(source, tokenizer),
    });
  } finally {
    await source.close();
  }
}

/** Every id that ends an answer: config.json, generation_config.json and the tokenizer, by union. */
export function stopTokens(
  source: Pick<ModelSource, 'config' | 'generationConfig'>,
  tokenizer: Tokenizer,
): number[] {
  const fromGeneration = source.generationConfig?.['eos_token_id'];
  const ids: unknown[] = [
    ...source.config.eosTokenIds,
    ...(Array.isArray(fromGeneration) ? fromGeneration : [fromGeneration]),
    tokenizer.eosTokenId,
  ];
  return [...new Set(ids.filter((id): id is number => typeof id === 'number'))];
}
