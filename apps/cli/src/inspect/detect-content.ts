/** Tells what a path holds from its content, not from its name alone. */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { CLI_ERRORS } from '../errors.js';

/** What `inspect` can look into. */
export type ContentKind =
  | 'artifact'
  | 'model'
  | 'adapter'
  | 'tokenizer'
  | 'safetensors'
  | 'gguf'
  | 'torch'
  | 'megatron'
  | 'distributed';

/**
 * Decides what a file or directory is. An artifact may hold any of the others.
 *
 * Throws: `CLI_UNKNOWN_CONTENT` with the forms that are known; the system's error when there is nothing.
 */
export async function detectContent(path: string): Promise<ContentKind> {
  const kind = (await stat(path)).isDirectory()
    ? detectDirectory(await readdir(path))
    : detectFile(path, await readPrefix(path));
  if (kind !== undefined) return kind;
  throw unknownContent(path);
}

/** As {@link detectContent} for the payload of an artifact directory: its manifest does not count. */
export async function detectPayload(directory: string): Promise<ContentKind | undefined> {
  const names = await readdir(directory);
  return detectDirectory(names.filter((name) => name !== 'manifest.json'));
}

/** The single GGUF file of a directory, if there is exactly one. */
export async function findGgufFile(directory: string): Promise<string | undefined> {
  const names = (await readdir(directory)).filter((name) => name.toLowerCase().endsWith('.gguf'));
  return names.length === 1 && names[0] !== undefined ? join(directory, names[0]) : undefined;
}

const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer.model', 'merges.txt'];

function detectDirectory(names: readonly string[]): ContentKind | undefined {
  const has = (name: string): boolean => names.includes(name);
  if (has('manifest.json')) return 'artifact';
  if (has('adapter_config.json')) return 'adapter';
  if (names.some((name) => /^(?:__\d+)?\.metadata$/.test(name))) return 'distributed';
  // A converted checkpoint has the model's config.json beside it.
  if (has('latest_checkpointed_iteration.txt')) return 'megatron';
  if (names.some((name) => /^mp_rank_\d+/.test(name))) return 'megatron';
  if (has('config.json')) return 'model';
  if (names.some((name) => /\.safetensors(\.index\.json)?$/.test(name))) return 'safetensors';
  if (names.filter((name) => name.toLowerCase().endsWith('.gguf')).length === 1) return 'gguf';
  return names.some((name) => TOKENIZER_FILES.includes(name)) ? 'tokenizer' : undefined;
}

const PREFIX_BYTES = 9;

async function readPrefix(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PREFIX_BYTES), 0, PREFIX_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** GGUF has a magic; a safetensors header is JSON after eight bytes of length. */
function detectFile(path: string, prefix: Buffer): ContentKind | undefined {
  if (prefix.subarray(0, 4).toString('latin1') === 'GGUF') return 'gguf';
  const name = path.toLowerCase();
  if (name.endsWith('.gguf')) return 'gguf';
  if (name.endsWith('.safetensors') || name.endsWith('.safetensors.index.json')) {
    return 'safetensors';
  }
  if (/\.(pt|pth|bin)$/.test(name)) return 'torch';
  if (name.endsWith('.json') || name.endsWith('.model')) return 'tokenizer';
  return prefix[8] === 0x7b ? 'safetensors' : undefined;
}

function unknownContent(path: string): TuneyardError {
  return new TuneyardError(
    CLI_ERRORS.CLI_UNKNOWN_CONTENT,
    `${path} is nothing that inspect can look into`,
    {
      details: {
        path,
        allowed: [
          'a Hugging Face model directory',
          'a PEFT adapter directory',
          'an artifact directory',
          'a .safetensors file',
          'a .gguf file',
          'a torch file (.pt, .bin)',
          'a Megatron checkpoint directory',
          'a distributed checkpoint (.metadata)',
          'tokenizer.json or tokenizer.model',
        ],
      },
    },
  );
}
