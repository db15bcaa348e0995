/**
 * `config.json` of any catalogued family → {@link LogicalModel}.
 *
 * Unlike `parseModelConfig`, which serves training and accepts only what can be computed here, this reads what
 * decides names and shapes of tensors, for every family whose files can be converted.
 */
import { FieldReader, isRawObject } from '../config/fields.js';
import { type ModelNumbers, readNumbers } from '../config/model-numbers.js';
import { type ModelSizing, readSizing } from '../config/read-sizing.js';
import { notAnObject, tableFor } from '../families/catalogue.js';
import type { LogicalModel, LogicalTensor, TensorRole } from './logical-model.js';
import { logicalTensor } from './logical-shapes.js';

/**
 * Lists the logical tensors that a configuration implies.
 *
 * `where` names the file in messages. Throws: `WEIGHTS_JSON_INVALID`, `WEIGHTS_UNKNOWN_ARCHITECTURE`,
 * `WEIGHTS_CONFIG_FIELD` (a key is missing, has a value that is not allowed, or contradicts another),
 * `WEIGHTS_UNSUPPORTED_FEATURE`.
 */
export function logicalModel(rawConfig: unknown, where: string): LogicalModel {
  if (!isRawObject(rawConfig)) throw notAnObject(where);
  const fields = new FieldReader(rawConfig, where);
  const table = tableFor(fields);
  const sizing = readSizing(fields, table);
  const { sizes } = sizing;
  const outside = { part: 'weight', layer: null, expert: null } as const;
  const layers = Array.from({ length: sizes.layers }, (_, layer) => [
    ...attentionTensors(sizing, layer),
    ...mlpTensors(sizing, layer),
  ]);
  const tensors = [
    logicalTensor('embedding', sizes, outside),
    ...layers.flat(),
    logicalTensor('final_norm', sizes, outside),
    ...(sizes.tiedEmbeddings ? [] : [logicalTensor('head', sizes, outside)]),
  ];
  return { family: table.name, sizes, tensors };
}

/** A role with whether it has a bias besides its weight. */
type RoleWithBias = readonly [role: TensorRole, hasBias: boolean];

function attentionTensors(sizing: ModelSizing, layer: number): LogicalTensor[] {
  const { biases, qkNorm, isSandwich } = sizing;
  const roles: RoleWithBias[] = [
    ['input_norm', false],
    ...projectionRoles(sizing),
    ...roleIf(qkNorm, 'q_norm'),
    ...roleIf(qkNorm, 'k_norm'),
    ['o', biases.output],
    ...roleIf(isSandwich, 'post_attention_norm'),
    ['mlp_norm', false],
  ];
  return withBiases(roles, sizing, { layer, expert: null });
}

function projectionRoles({ sizes, biases }: ModelSizing): RoleWithBias[] {
  const { latent } = sizes;
  if (latent === undefined) return (['q', 'k', 'v'] as const).map((role) => [role, biases.qkv]);
  const query: RoleWithBias[] =
    latent.queryRank === null
      ? [['q', false]]
      : [
          ['q_a', biases.qkv],
          ['q_a_norm', false],
          ['q_b', false],
        ];
  return [...query, ['kv_a', biases.qkv], ['kv_a_norm', false], ['kv_b', false]];
}

function mlpTensors(sizing: ModelSizing, layer: number): LogicalTensor[] {
  const place = { layer, expert: null };
  const after = withBiases(roleIf(sizing.isSandwich, 'post_mlp_norm'), sizing, place);
  if (!sizing.expertLayers[layer]) {
    const roles = (['gate', 'up', 'down'] as const).map(
      (role): RoleWithBias => [role, sizing.biases.mlp],
    );
    return [...withBiases(roles, sizing, place), ...after];
  }
  const { sizes } = sizing;
  const hasShared = sizes.sharedFfn > 0;
  const tensors = withBiases([['router', false]], sizing, place);
  if (sizing.routerBias) {
    tensors.push(logicalTensor('router_bias', sizes, { ...place, part: 'bias' }));
  }
  for (let expert = 0; expert < sizes.experts; expert++) {
    for (const role of ['expert_gate', 'expert_up', 'expert_down'] as const) {
      tensors.push(logicalTensor(role, sizes, { part: 'weight', layer, expert }));
    }
  }
  const shared: RoleWithBias[] = [
    ...roleIf(hasShared, 'shared_gate'),
    ...roleIf(hasShared, 'shared_up'),
    ...roleIf(hasShared, 'shared_down'),
    ...roleIf(hasShared && sizing.sharedRouter, 'shared_router'),
  ];
  return [...tensors, ...withBiases(shared, sizing, place), ...after];
}

function roleIf(condition: boolean, role: TensorRole): RoleWithBias[] {
  return condition ? [[role, false]] : [];
}

function withBiases(
  roles: readonly RoleWithBias[],
  { sizes }: ModelSizing,
  place: { readonly layer: number; readonly expert: null },
): LogicalTensor[] {
  return roles.flatMap(([role, hasBias]) => {
    const weight = logicalTensor(role, sizes, { ...place, part: 'weight' });
    return hasBias ? [weight, logicalTensor(role, sizes, { ...place, part: 'bias' })] : [weight];
  });
}

/**
 * Reads the numbers of a configuration that shape no tensor: epsilon, rotary base, context.
 *
 * Throws: as {@link logicalModel}.
 */
export function modelNumbers(rawConfig: unknown, where: string): ModelNumbers {
  if (!isRawObject(rawConfig)) throw notAnObject(where);
  const fields = new FieldReader(rawConfig, where);
  return readNumbers(fields, tableFor(fields));
}
