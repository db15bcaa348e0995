import { describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from './testing/bundled.js';
import { chooseThreads, threadsFor } from './threads.js';

const idle = { cores: 8, coresLimit: null, load: 0.2, weightBytes: 1e9 };

describe('chooseThreads', () => {
  it('takes free cores, within the limit of a container, and never none', () => {
    expect(chooseThreads(idle)).toBe(8);
    expect(chooseThreads({ ...idle, load: 5.4 })).toBe(3);
    expect(chooseThreads({ ...idle, load: 30 })).toBe(1);
    expect(chooseThreads({ ...idle, coresLimit: 2.5 })).toBe(2);
    expect(chooseThreads({ ...idle, coresLimit: 0.5 })).toBe(1);
  });

  it('takes one for a small model', () => {
    expect(chooseThreads({ ...idle, weightBytes: 1e6 })).toBe(1);
    expect(threadsFor(BUNDLED_MODEL)).toBe(1);
    expect(threadsFor('/nonexistent')).toBe(1);
  });
});
