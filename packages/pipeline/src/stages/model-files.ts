/** Files that a model written in Hugging Face form needs beside its weights. */
import { tokenizerFilesFromGguf } from '@tuneyard/data';
import type { ExtraFile } from '@tuneyard/weights';

/** The tokenizer of a GGUF base as files; a directory's own files are carried along by the writer. */
export async function tokenizerFilesOf(modelPath: string): Promise<readonly ExtraFile[]> {
  return modelPath.toLowerCase().endsWith('.gguf') ? await tokenizerFilesFromGguf(modelPath) : [];
}
