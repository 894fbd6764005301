/** What ipvlan does on a kernel that has no ipvlan; vm/ has the rest. */
import { describe, expect, it } from 'vitest';
import { fake, RECORD, recordedVerbs } from '../../lab/fakes.ts';
import { Lab, PARENT } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { stateOf } from '../../lab/state.ts';
import { ipvlan } from './bad.ts';

const OK = { exitCode: 0, stdout: '' };

describe.concurrent('ipvlan STATUS', () => {
  const conf = (more: object) => ipvlan({ cniVersion: '1.1.0', ...more });

  it.each([
    { what: 'is silent when all is well', more: {}, code: 0 },
    { what: 'has code 50 without the parent', more: { master: 'absent0' }, code: 50 },
    { what: 'has code 50 when the mtu is too big', more: { mtu: 9000 }, code: 50 },
    { what: 'has code 50 when the parent takes no children', more: { master: 'lo' }, code: 50 },
    { what: 'does not look for a parent that a chain may give', more: { master: '' }, code: 0 },
    { what: 'does not look for one in containers', more: { master: 'absent0', linkInContainer: true }, code: 0 },
  ])('$what', async ({ more, code }) => {
    await using lab = await Lab.open();
    const outcome = await lab.call({ verb: 'STATUS', plugin: 'ipvlan', conf: conf(more) });
    expect(
      outcome.exitCode === 0 ? { code: 0, text: outcome.stdout } : { code: errorOf(outcome).code, text: '' },
    ).toEqual({ code, text: '' });
  });

  it.each(['STATUS', 'GC'])('forwards %s to the IPAM plugin', { tags: 'all/gc-and-status' }, async (verb) => {
    await using lab = await Lab.open();
    const path = [fake(lab, 'fake-ipam', RECORD)];
    const document = conf({ ipam: { type: 'fake-ipam' }, 'cni.dev/valid-attachments': [] });
    expect(await lab.call({ verb, plugin: 'ipvlan', conf: document, path })).toMatchObject(OK);
    expect(recordedVerbs(lab)).toEqual([verb]);
  });
});

describe.concurrent('ipvlan DEL', () => {
  it.each(['link add net1 type bridge', 'link add net1 type veth peer name net1-peer', 'link add base type bridge'])(
    'leaves what is no ipvlan alone: %s',
    async (make) => {
      await using lab = await Lab.open();
      const pod = await lab.pod();
      await lab.ip(pod.name, make);
      const before = await stateOf(pod.name);
      expect(await lab.call({ verb: 'DEL', plugin: 'ipvlan', conf: ipvlan({}), netns: pod.path })).toMatchObject(OK);
      expect(await stateOf(pod.name)).toEqual(before);
    },
  );

  it('leaves a macvlan alone that has its name', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    await lab.ip(lab.node, `link add net1 link ${PARENT} netns ${pod.name} type macvlan`);
    const before = await stateOf(pod.name);
    expect(await lab.call({ verb: 'DEL', plugin: 'ipvlan', conf: ipvlan({}), netns: pod.path })).toMatchObject(OK);
    expect(await stateOf(pod.name)).toEqual(before);
  });

  it('needs no parent, no default route and no configuration that ADD would take', async () => {
    await using lab = await Lab.open();
    const path = [fake(lab, 'fake-ipam', RECORD)];
    const document = ipvlan({ master: '', mode: 7, mtu: 'x', ipam: { type: 'fake-ipam' } });
    expect(await lab.call({ verb: 'DEL', plugin: 'ipvlan', conf: document, netns: '', path })).toMatchObject(OK);
    expect(recordedVerbs(lab)).toEqual(['DEL']);
  });
});

describe('ipvlan on a kernel without it', () => {
  it('is refused with the name of what is missing, and leaves nothing', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const before = [await stateOf(pod.name), await stateOf(lab.node)];
    const probe = await lab.execute(['ip', 'link', 'add', 'probe', 'link', PARENT, 'type', 'ipvlan']);
    const outcome = await lab.call({ verb: 'ADD', plugin: 'ipvlan', conf: ipvlan({}), netns: pod.path });
    if (probe.exitCode === 0) {
      expect(outcome.exitCode).toBe(0); // it has it
      return;
    }
    expect(errorOf(outcome)).toMatchObject({ code: 999, message: expect.stringContaining('EOPNOTSUPP') });
    expect([await stateOf(pod.name), await stateOf(lab.node)]).toEqual(before);
  });
});
