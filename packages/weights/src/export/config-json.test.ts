import { expect, it } from 'vitest';
import { formatConfigJson } from './config-json.js';

it('writes whole floats with a point, and nothing else', () => {
  const config = {
    rope_theta: 10_000,
    rms_norm_eps: 1e-6,
    num_hidden_layers: 2,
    rope_scaling: { factor: 8, type: 'linear' },
    name: '"factor": 1',
    routed_scaling_factor: 1,
  };
  const text = formatConfigJson(config);
  expect(text).toContain('"rope_theta": 10000.0,');
  expect(text).toContain('"factor": 8.0,');
  expect(text).toContain('"routed_scaling_factor": 1.0\n');
  expect(text).toContain('"num_hidden_layers": 2,');
  expect(JSON.parse(text)).toEqual(config);
});
