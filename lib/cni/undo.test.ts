import { describe, expect, it } from 'vitest';
import { fakeScope } from './testing/fake-scope.ts';
import { Undo } from './undo.ts';

describe('Undo', () => {
  it('runs to its end, last first, when steps fail and the log fails too', async () => {
    const done: string[] = [];
    const fail = (step: string) => () => {
      done.push(step);
      throw new Error(step);
    };
    {
      const log = (): never => {
        throw new Error('ENOSPC');
      };
      await using undo = new Undo(fakeScope({ log }));
      undo.push('one', fail('one'));
      undo.push('two', fail('two'));
      undo.push('three', fail('three'));
    }
    expect(done).toEqual(['three', 'two', 'one']);
  });
});
