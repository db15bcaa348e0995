/** Finds the names of Hugging Face among those of a checkpoint, where training loops put things in front and between. */

/** Modules that wrappers put between: `torch.compile`, FSDP, activation checkpointing. */
const WRAPPERS = /(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\./g;

/** State that has the names of parameters and is none. */
const STATE = /(^|\.)(optim(izer)?|optimizers|ema|lr_scheduler|dataloader)(\.|$)/;

/**
 * Maps the checkpoint's names to those of the model; null for what lies outside of it.
 *
 * `expected` are the names that the model has, the first of which is sure to be there. Where several prefixes have it,
 * `model.` and shorter ones come first, and those of an optimizer or an average do not count. Null when none has it.
 */
export function hfNames(
  names: Iterable<string>,
  expected: readonly string[],
): ReadonlyMap<string, string | null> | null {
  const [anchor = ''] = expected;
  const roots = new Set(expected.map(rootOf));
  const plain = new Map([...names].map((name) => [name, name.replace(WRAPPERS, '')]));
  const prefixes = new Set<string>();
  for (const name of plain.values()) {
    if (name !== anchor && !name.endsWith(`.${anchor}`)) continue;
    const prefix = name.slice(0, name.length - anchor.length);
    if (!STATE.test(prefix.slice(0, -1))) prefixes.add(prefix);
  }
  const [prefix] = [...prefixes].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  if (prefix === undefined) return null;
  return new Map(
    [...plain].map(([name, bare]) => {
      const own = bare.startsWith(prefix) ? bare.slice(prefix.length) : '';
      return [name, roots.has(rootOf(own)) ? own : null];
    }),
  );
}

/** The first part of a name; what stands beside the model has another one. */
function rootOf(name: string): string {
  return name.split('.', 1)[0] ?? '';
}

function rank(prefix: string): number {
  return prefix === 'model.' ? -1 : prefix.length;
}
