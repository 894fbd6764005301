import { describe, expect, it } from 'vitest';
import { type Creation, createLink, type LinkPlan } from '../../lib/link/link.ts';
import { findLink } from '../../lib/link/observe.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { ip, Lab, PARENT, stateOf } from '../../lib/testing/lab.ts';
import { mac } from '../../lib/testing/mac.ts';
import { MACVLAN, type MacvlanAttributes } from './kind.ts';

const planFor = (name: string, parentIndex: number): LinkPlan<MacvlanAttributes> => ({
  name,
  parent: { index: parentIndex, name: PARENT },
  kind: MACVLAN,
  attributes: { mode: 'bridge', bcQueueLen: 0 },
  mtu: 1400,
  mac: mac('02:00:00:00:00:07'),
});

const creationIn = (target: Netns, from: Conversation): Creation => ({
  ...{ request: (creation) => from.change(creation), target, token: 'token' },
  made: () => undefined,
  find: (name) => findLink(target.netlink, name),
});

describe('createLink', () => {
  it('makes a macvlan that is born in the pod', async () => {
    using lab = new Lab();
    using pod = lab.openPod();
    const { netlink } = lab.scope().node.host;
    const parent = await findLink(netlink, PARENT);
    const made = await createLink(planFor('net1', parent?.index ?? 0), creationIn(pod, netlink));
    expect(made).toMatchObject({ name: 'net1', kind: 'macvlan', mtu: 1400, mac: mac('02:00:00:00:00:07') });
    const [seen] = ip('-n', lab.pod, '-d', 'link', 'show', 'net1') as [Record<string, unknown>];
    expect(seen).toMatchObject({
      mtu: 1400,
      address: '02:00:00:00:00:07',
      linkinfo: { info_data: { mode: 'bridge' } },
    });
  });

  it('leaves a link alone whose name it wants', async () => {
    using lab = new Lab();
    using pod = lab.openPod();
    ip('-n', lab.pod, 'link', 'add', 'net1', 'type', 'bridge');
    const before = stateOf(lab.pod);
    const { netlink } = lab.scope().node.host;
    const parent = await findLink(netlink, PARENT);
    await expect(createLink(planFor('net1', parent?.index ?? 0), creationIn(pod, netlink))).rejects.toThrow('EEXIST');
    expect(stateOf(lab.pod)).toEqual(before);
  });
});
