/** Assets of the repository that tests work on, and an adapter made for them. */
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import { type LoraPair, writePeftAdapter } from '@tuneyard/weights';

/** The bundled model directory: Llama architecture, 260,032 parameters. */
export const BUNDLED_MODEL = fileURLToPath(
  new URL('../../../../assets/models/stories260k-hf', import.meta.url),
);

/** Writes an adapter of rank 2 on the query projections of the first two layers of the bundled model. */
export async function writeTestAdapter(
  directory: string,
  options: { readonly bScale: number },
): Promise<void> {
  const rng = createRng(1);
  const random = (length: number, scale: number): Float32Array =>
    Float32Array.from({ length }, () => scale * rng.nextGaussian());
  const pairs = [0, 1].map(
    (layer): LoraPair => ({
      module: `model.layers.${layer}.self_attn.q_proj`,
      a: random(2 * 64, 0.1),
      b: random(64 * 2, options.bScale),
      rank: 2,
      inFeatures: 64,
      outFeatures: 64,
    }),
  );
  const config = {
    rank: 2,
    alpha: 4,
    rslora: false,
    dropout: 0,
    targetModules: ['q_proj'],
    baseModel: 'stories260k',
    rankPattern: {},
    alphaPattern: {},
  };
  await writePeftAdapter(directory, { pairs }, { config });
}
