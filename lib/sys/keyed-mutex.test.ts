import { describe, expect, it } from 'vitest';
import { KeyedMutex } from './keyed-mutex.ts';

describe('KeyedMutex', () => {
  it('lets one in for each key, in the order in which they came', async () => {
    const mutex = new KeyedMutex();
    const order: string[] = [];
    const work = async (key: string, name: string): Promise<void> => {
      using _lock = await mutex.acquire(key);
      order.push(`${name} in`);
      await new Promise(setImmediate);
      order.push(`${name} out`);
    };
    await Promise.all([work('a', '1'), work('a', '2'), work('b', '3'), work('a', '4')]);
    expect(order.filter((step) => !step.startsWith('3'))).toEqual(['1 in', '1 out', '2 in', '2 out', '4 in', '4 out']);
    expect(order.indexOf('3 in')).toBeLessThan(order.indexOf('1 out'));
    expect(mutex.size).toBe(0);
  });

  it('leaves out who does not want to wait any more', async () => {
    const mutex = new KeyedMutex();
    const first = await mutex.acquire('a');
    const impatient = new AbortController();
    const second = mutex.acquire('a', impatient.signal);
    const third = mutex.acquire('a');
    impatient.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    (await third)[Symbol.dispose]();
    expect(mutex.size).toBe(0);
    await expect(mutex.acquire('a', impatient.signal)).rejects.toThrow('enough');
  });
});
