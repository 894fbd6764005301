import { describe, expect, it } from 'vitest';
import type { Netns } from '../netns/netns.ts';
import { CniError } from './errors.ts';
import { openLiving, reopenByLink } from './sandbox-link.ts';
import { fakeScope } from './testing/fake-scope.ts';

const ENDED = '/proc/4194305/ns/net'; // above the highest number of a process
const LIVES = '/proc/self/ns/net';

const refusing = () =>
  fakeScope({
    node: {
      host: {} as Netns,
      livingNetns: () => [ENDED, LIVES].map((path) => ({ name: path, path })),
      openNetns: (path) => {
        throw new CniError('invalidNetns', `cannot open network namespace "${path}": EACCES`);
      },
    },
  });

describe('a namespace that the kernel does not open', () => {
  it('is no more when its process has ended', () => {
    expect(openLiving(refusing(), ENDED)).toBeUndefined();
  });

  it('may be the one that is looked for: nothing is said of the pod', async () => {
    expect(() => openLiving(refusing(), LIVES)).toThrow('EACCES');
    const link = { name: 'net1', mac: '02:00:00:00:00:01' };
    await expect(reopenByLink(refusing(), { path: '', link })).rejects.toMatchObject({ code: 8 });
  });
});
