/** Commands that use the results of a run, to copy from the report or the terminal. */
import path from 'node:path';
import type { Artifact } from '../artifacts/manifest.js';
import type { RunPlan } from '../plan/run-plan.js';
import { resolveRecipePath } from '../recipe/recipe.js';
import type { ReportCommand } from './report-data.js';

/** Ways to use what the run made, best first. */
export function useCommands(
  plan: RunPlan,
  artifacts: { readonly [stageId: string]: Artifact },
): ReportCommand[] {
  const base = resolveRecipePath(plan.recipe, plan.recipe.model.model_name_or_path);
  const { merge, train } = artifacts;
  const commands: ReportCommand[] = [];
  const isRaw = plan.recipe.train.stage === 'pt';
  // The model must be spoken to as it was trained.
  const { template } = plan.recipe.data;
  const spoken = template === 'auto' ? '' : ` --template ${quoted(template)}`;
  const ask = (model: string): string =>
    isRaw ? `tuneyard generate ${model} --prompt '…'` : `tuneyard chat ${model}${spoken}`;
  const isLora = train?.manifest.kind === 'adapter';
  if (train !== undefined) {
    const model = isLora ? `${quoted(base)} --adapter ${quoted(train.dir)}` : quoted(train.dir);
    commands.push({
      label: isLora ? 'Try the base model with the adapter' : 'Try the trained model',
      command: ask(model),
    });
  }
  if (merge !== undefined) {
    commands.push({
      label: 'Try the merged model',
      command: ask(quoted(merge.dir)),
    });
  }
  for (const artifact of Object.values(artifacts)) {
    const file = artifact.manifest.files.find((f) => f.path.endsWith('.gguf'));
    if (artifact.manifest.kind !== 'gguf' || file === undefined) continue;
    commands.push({
      label: `Run ${file.path} with llama.cpp`,
      command: `llama-cli -m ${quoted(path.join(artifact.dir, file.path))}`,
    });
  }
  const peft = artifacts['export-peft'] ?? (isLora ? train : undefined);
  if (peft !== undefined) {
    commands.push({
      label: 'Load the adapter with PEFT (Python)',
      command: [
        'from peft import PeftModel',
        'from transformers import AutoModelForCausalLM',
        `base = AutoModelForCausalLM.from_pretrained(${JSON.stringify(base)})`,
        `model = PeftModel.from_pretrained(base, ${JSON.stringify(peft.dir)})`,
      ].join('\n'),
    });
  }
  return commands;
}

/** A shell word; single quotes around anything but plain characters. */
function quoted(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
