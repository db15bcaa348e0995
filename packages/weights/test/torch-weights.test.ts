import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SafetensorsReader } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import { composePlan } from '../src/convert/compose-plan.js';
import { exportHf, hfLayout, logicalModel, openModel, plainCodec } from '../src/index.js';
import { hfDirectorySources } from '../src/source/hf-sources.js';
import { openHfTensors } from '../src/source/hf-tensors.js';
import { listSidecarFiles } from '../src/source/sidecar-files.js';
import { codeOf, TINY_CONFIG, temporaryDirectory, writeTinyHf } from './fixture-models.js';
import { interpretPlan } from './plan-interpreter.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/torch-bin/', import.meta.url));
const SHARDS = ['pytorch_model-00001-of-00002.bin', 'pytorch_model-00002-of-00002.bin'] as const;
const INDEX = 'pytorch_model.bin.index.json';

const expectedOf = (name: string): Record<string, string> =>
  JSON.parse(readFileSync(`${FIXTURES}${name}/expected.json`, 'utf8'));

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A copy of a fixture that a test may damage. */
function copyOf(name: string): string {
  const directory = temporaryDirectory();
  cpSync(`${FIXTURES}${name}`, directory, { recursive: true });
  return directory;
}

function editIndex(directory: string, edit: (index: { weight_map: unknown }) => void): void {
  const path = join(directory, INDEX);
  const index = JSON.parse(readFileSync(path, 'utf8'));
  edit(index);
  writeFileSync(path, JSON.stringify(index));
}

describe('a model directory with torch files', () => {
  it.each(['tied', 'strided', 'legacy', 'sharded'])(
    'opens as one with safetensors does: %s',
    async (name) => {
      const source = await openModel(`${FIXTURES}${name}`);
      const expected = expectedOf(name);
      for (const parameter of source.parameters) {
        const bytes = await source.read(parameter.name);
        expect(bytes.length).toBe(parameter.byteLength);
        expect(sha256(bytes), parameter.name).toBe(expected[parameter.name]);
      }
      expect(source.parameters.length + source.ignoredTensors.length).toBe(
        Object.keys(expected).length,
      );
      expect(await codeOf(() => source.read('nothing'))).toContain('WEIGHTS_UNKNOWN_PARAMETER');
      await source.close();
    },
  );

  it('keeps the element type of its files', async () => {
    const types: string[] = [];
    for (const name of ['tied', 'strided', 'legacy']) {
      const source = await openModel(`${FIXTURES}${name}`);
      types.push(source.parameters[0]!.type);
      await source.close();
    }
    expect(types).toEqual(['f32', 'bf16', 'f16']);
  });

  it('takes the head of tied embeddings as the copy that it is', async () => {
    const tensors = await openHfTensors(`${FIXTURES}tied`);
    const head = tensors.tensors.get('lm_head.weight')!;
    const embedding = tensors.tensors.get('model.embed_tokens.weight')!;
    expect(head.begin).toBe(embedding.begin);
    await tensors.close();
    const source = await openModel(`${FIXTURES}tied`);
    expect(source.ignoredTensors).toEqual(['lm_head.weight']);
    await source.close();
  });

  it('tells strided tensors from those whose bytes can be copied', async () => {
    const tensors = await openHfTensors(`${FIXTURES}strided`);
    expect(tensors.form).toBe('torch');
    expect(tensors.tensors.get('model.layers.0.mlp.up_proj.weight')?.strides).toEqual([1, 12]);
    expect(tensors.tensors.get('model.norm.weight')?.strides).toBeNull();
    await tensors.close();
  });

  it('is exported as safetensors with the same bytes', async () => {
    const source = await openModel(`${FIXTURES}strided`);
    const out = join(temporaryDirectory(), 'out');
    await exportHf(source, out, { codec: plainCodec, dtype: 'bf16' });
    await source.close();
    await using reader = await SafetensorsReader.open(out);
    const expected = expectedOf('strided');
    expect([...reader.tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const name of reader.tensors.keys()) {
      expect(sha256(await reader.read(name)), name).toBe(expected[name]);
    }
  });

  it('is read from its safetensors when it has both', async () => {
    const directory = await writeTinyHf();
    writeFileSync(join(directory, 'pytorch_model.bin'), 'not a torch file');
    const tensors = await openHfTensors(directory);
    expect(tensors.form).toBe('safetensors');
    await tensors.close();
  });

  it('is read from its torch files when the only safetensors are those of an adapter', async () => {
    const directory = copyOf('tied');
    const other = await writeTinyHf();
    copyFileSync(join(other, 'model.safetensors'), join(directory, 'adapter_model.safetensors'));
    const tensors = await openHfTensors(directory);
    expect(tensors.form).toBe('torch');
    await tensors.close();
  });
});

describe('torch files as the source of a conversion', () => {
  it.each(['tied', 'strided', 'legacy', 'sharded'])(
    'are moved, matrices that are stored turned too: %s',
    async (name) => {
      const directory = `${FIXTURES}${name}`;
      const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
      const model = logicalModel(config, 'config.json');
      const opened = await openHfTensors(directory);
      const sources = hfDirectorySources(directory, model, opened);
      await opened.close();
      const composed = composePlan(sources, hfLayout(model), { dtype: null });
      const tensors = composed.targets.map(({ tensor }) => tensor);
      const files = [{ path: '', format: 'safetensors' as const, extra: null, tensors }];
      const plan = { sources: composed.sources, files };
      const bytes = interpretPlan(plan, (file) => readFileSync(file));
      const expected = expectedOf(name);
      for (const { name: tensor } of tensors) {
        expect(sha256(bytes.get(`\n${tensor}`)!), tensor).toBe(expected[tensor]);
      }
    },
  );
});

describe('files that belong to a model beside its weights', () => {
  it('are its tokenizer, its code and its licence, and nothing that was put there later', async () => {
    const directory = temporaryDirectory();
    const own = [
      'LICENSE.txt',
      'chat_template.jinja',
      'generation_config.json',
      'modeling_chatglm.py',
      'qwen.tiktoken',
      'tokenization_baichuan.py',
      'tokenizer.json',
    ];
    const others = ['train.py', 'pytorch_model.bin', 'optimizer.pt', 'notes.json', 'model.py'];
    for (const name of [...own, ...others]) writeFileSync(join(directory, name), '');
    expect(await listSidecarFiles(directory)).toEqual(own);
  });
});

describe('damaged torch files of a model directory', () => {
  it('name the parameter that is missing', async () => {
    const directory = copyOf('legacy');
    const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
    const deeper = JSON.stringify({ ...config, num_hidden_layers: 2 });
    writeFileSync(join(directory, 'config.json'), deeper);
    const thrown = await codeOf(() => openModel(directory));
    expect(thrown).toContain('WEIGHTS_MISSING_TENSOR');
    expect(thrown).toContain('model.layers.1.self_attn.q_proj.weight');
  });

  it('are refused without an index when there are several', async () => {
    const directory = copyOf('sharded');
    rmSync(join(directory, INDEX));
    const thrown = await codeOf(() => openModel(directory));
    expect(thrown).toContain('WEIGHTS_SHARD_INDEX');
    expect(thrown).toContain(SHARDS[0]);
  });

  it.each([
    ['leads out of the directory', { 'model.norm.weight': '../pytorch_model.bin' }],
    ['names no file', { 'model.norm.weight': 7 }],
    ['is empty', {}],
    ['is a list', ['model.norm.weight']],
  ])('are refused when the index %s', async (_, weightMap) => {
    const directory = copyOf('sharded');
    editIndex(directory, (index) => {
      index.weight_map = weightMap;
    });
    expect(await codeOf(() => openModel(directory))).toContain('WEIGHTS_SHARD_INDEX');
  });

  it('are refused when the index places a tensor in the wrong file', async () => {
    const directory = copyOf('sharded');
    editIndex(directory, (index) => {
      (index.weight_map as Record<string, string>)['model.norm.weight'] = SHARDS[0];
    });
    expect(await codeOf(() => openModel(directory))).toContain('WEIGHTS_SHARD_MISMATCH');
  });

  it('are refused when the index names a tensor that is nowhere', async () => {
    const directory = copyOf('sharded');
    editIndex(directory, (index) => {
      (index.weight_map as Record<string, string>)['model.layers.7.norm'] = SHARDS[1];
    });
    const thrown = await codeOf(() => openModel(directory));
    expect(thrown).toContain('WEIGHTS_SHARD_MISMATCH');
    expect(thrown).toContain('model.layers.7.norm');
  });

  it('are refused when a shard is missing, cut, or no torch file', async () => {
    const directory = copyOf('sharded');
    const path = join(directory, SHARDS[1]);
    truncateSync(path, 3000);
    expect(await codeOf(() => openModel(directory))).toContain('TORCH_ARCHIVE_NO_DIRECTORY');
    writeFileSync(path, '<html>404</html>');
    expect(await codeOf(() => openModel(directory))).toContain('TORCH_ARCHIVE_BAD_MAGIC');
    rmSync(path);
    expect(await codeOf(() => openModel(directory))).toContain('FILE_NOT_FOUND');
  });

  it('are executed by nobody: a pickle that would run a command is refused', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'config.json'), JSON.stringify(TINY_CONFIG));
    const pickle = '\x80\x02cos\nsystem\nX\x08\x00\x00\x00touch /a\x85R.';
    const magic = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
    const head = Buffer.concat([
      magic,
      Buffer.from('80024de9032e', 'hex'),
      Buffer.from('80027d580d0000006c6974746c655f656e6469616e88732e', 'hex'),
      Buffer.from(pickle, 'latin1'),
    ]);
    writeFileSync(join(directory, 'pytorch_model.bin'), head);
    expect(await codeOf(() => openModel(directory))).toContain('TORCH_PICKLE_FORBIDDEN_GLOBAL');
  });
});
