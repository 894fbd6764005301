import { describe, expect, it } from 'vitest';
import { Shared, type Slot } from './shared.ts';

describe('Shared', () => {
  it('makes each thing once, at first use, and disposes of what was made', () => {
    const notes: string[] = [];
    const slot = (name: string): Slot<Disposable> => ({
      make: () => {
        notes.push(`${name} made`);
        return { [Symbol.dispose]: () => void notes.push(`${name} gone`) };
      },
    });
    const [a, b] = [slot('a'), slot('b')];
    const shared = new Shared();
    expect(shared.get(a)).toBe(shared.get(a));
    shared[Symbol.dispose]();
    expect(notes).toEqual(['a made', 'a gone']);
    shared.get(b);
    expect(notes.at(-1)).toBe('b made');
  });

  it('tells what is kept by those that tell', () => {
    const holding = { name: 'n', help: 'h', type: 'gauge', labels: { of: 'a' }, value: 7 } as const;
    const shared = new Shared();
    shared.get({ make: () => ({ [Symbol.dispose]: () => undefined }) });
    shared.get({ make: () => ({ holdings: () => [holding], [Symbol.dispose]: () => undefined }) });
    expect(shared.holdings()).toEqual([holding]);
  });
});
