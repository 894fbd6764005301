import type { Netns } from '../../netns/netns.ts';
import { NetnsMissing } from '../../netns/netns.ts';
import type { Node } from '../../node/node.ts';
import { openDatabase } from '../../sys/database.ts';
import { BLOCKING_DISK } from '../../sys/disk.ts';
import { Gatherer } from '../../sys/gather.ts';
import { KeyedMutex } from '../../sys/keyed-mutex.ts';
import { Shared } from '../../sys/shared.ts';
import { fakeClock } from '../../sys/testing/fake-clock.ts';
import { makeScope, type Scope, scopeWith } from '../scope.ts';
import type { Registry, Suite } from '../suite.ts';

/** Fakes for parts of the machine; using any other part fails the test. */
export interface FakeParts {
  readonly node?: Partial<Node>;
  readonly registry?: Registry;
  readonly isOwnBuild?: (path: string) => boolean;
  readonly log?: (line: string) => void;
  /** called for each wait, which passes only fake time; absent: the real clock */
  readonly sleep?: (ms: number) => void | Promise<void>;
  readonly signal?: AbortSignal;
}

/** A call on a machine where every lock is free and nothing else exists. */
export function fakeScope(parts: FakeParts = {}): Scope {
  const { registry = {}, isOwnBuild = () => false, log = () => undefined, sleep, signal } = parts;
  const suite: Suite = { registry, mark: '', isOwnBuild };
  const scope = makeScope({ node: fakeNodeOf(parts.node ?? {}), suite, log, ...(signal && { signal }) });
  return sleep === undefined ? scope : scopeWith(scope, () => fakeClock(sleep));
}

/** @param paths namespaces by path */
export const openingOf =
  (paths: Readonly<Record<string, Netns>>) =>
  (path: string): Netns => {
    const netns = paths[path];
    if (netns === undefined) {
      throw new NetnsMissing(path);
    }
    return netns;
  };

function fakeNodeOf(parts: Partial<Node>): Node {
  const gatherer = new Gatherer();
  const shared = new Shared();
  const node: Partial<Node> = Object.create(
    {
      native: { lock: () => 0 } as unknown as Node['native'],
      locks: new KeyedMutex(),
      bootId: 'this boot',
      livingNetns: () => [],
      openNetns: openingOf({}),
      glance: (_, look) => look(),
      gather: (key, item, work) => gatherer.gather(key, item, work),
      disk: BLOCKING_DISK,
      openDatabase,
      shared: (slot) => shared.get(slot),
      servesMany: false,
      observe: undefined,
    } satisfies Partial<Node>,
    Object.getOwnPropertyDescriptors(parts),
  );
  return new Proxy(node as Node, {
    get: (target, key, receiver) => {
      if (!(key in target)) {
        throw new Error(`the fake machine has no ${String(key)}`);
      }
      return Reflect.get(target, key, receiver) as unknown;
    },
  });
}
