import { describe, expect, it } from 'vitest';
import type { Node } from '../node/node.ts';
import { makeScope, type Scope, scopeWith } from './scope.ts';
import { makeSuite } from './suite.ts';

const scopeOf = (signal?: AbortSignal): Scope =>
  makeScope({
    ...{ node: {} as Node, suite: makeSuite({}, []), log: () => undefined },
    ...(signal && { signal }),
  });

describe('the unending scope', () => {
  it('is the same for all who ask, at every depth, and made once', () => {
    const { signal } = new AbortController();
    let changes = 0;
    let scope = scopeOf(signal);
    for (let depth = 0; depth < 12; depth++) {
      scope = scopeWith(scope, () => {
        changes++;
        return { now: () => depth };
      });
    }
    const { unending } = scope;
    expect([unending.now(), unending.signal === signal]).toEqual([11, false]);
    expect(scope.unending).toBe(unending);
    expect(unending.unending).toBe(unending);
    expect(changes).toBe(24);
  });

  it('is the scope itself where nothing ends it', () => {
    const scope = scopeOf();
    expect(scope.unending).toBe(scope);
    const changed = scopeWith(scope, () => ({ now: () => 7 }));
    expect(changed.unending).toBe(changed);
  });
});
