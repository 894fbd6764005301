import { describe, expect, it } from 'vitest';
import { ip, Lab } from '../testing/lab.ts';
import { findLinks } from './finder.ts';

describe('findLinks', () => {
  it.each([
    ['one of them', ['net1']],
    ['several', ['net1', 'other', 'nothing', 'lo', 'a-name-that-is-longer-than-names-of-links-are']],
  ])('finds %s, by whatever name they have', async (_, names) => {
    using lab = new Lab();
    using pod = lab.openPod();
    ip('-n', lab.pod, 'link', 'add', 'net1', 'type', 'bridge');
    ip('-n', lab.pod, 'link', 'set', 'net1', 'alias', 'somebody');
    for (const name of ['other', 'a-name-that-is-longer-than-names-of-links-are']) {
      ip('-n', lab.pod, 'link', 'property', 'add', 'dev', 'net1', 'altname', name);
    }
    const found = await findLinks(pod.netlink, names);
    const nameOf = (name: string) => (name === 'nothing' ? undefined : name === 'lo' ? 'lo' : 'net1');
    expect(found.map((outcome) => outcome.status === 'fulfilled' && outcome.value?.name)).toEqual(names.map(nameOf));
    expect(found[0]).toMatchObject({ value: { kind: 'bridge', alias: 'somebody' } });
  });
});
