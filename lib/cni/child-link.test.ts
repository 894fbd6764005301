import { describe, expect, it } from 'vitest';
import type { Kind } from '../link/kind.ts';
import type { LinkFacts } from '../link/observe.ts';
import { mac } from '../testing/mac.ts';
import type { PodCall } from './call.ts';
import { type ChildConf, type ChildLinks, planChild } from './child-link.ts';

const TUBE: Kind<{ readonly shape: string }> = {
  name: 'tube',
  encode: () => [],
  decode: () => ({}),
  sharesMac: false,
};
const LINKS: ChildLinks<ChildConf, { readonly shape: string }> = {
  kind: TUBE,
  refusals: { creation: [], goingUp: [], rivals: [], why: () => undefined },
  attributesOf: () => ({ shape: 'round' }),
  macOf: () => mac('02:00:00:00:00:aa'),
  masterOf: ({ conf }) => conf.master,
};
const parent = { index: 3, name: 'eth0', mtu: 9000 } as Partial<LinkFacts> as LinkFacts;
const plan = (conf: Partial<ChildConf>) =>
  planChild({ ifName: 'net1', conf: { mtu: 0, ...conf } } as PodCall<ChildConf>, LINKS, parent);

describe('planChild', () => {
  it('says what the link should be, in the words of its kind', () => {
    expect(plan({ mtu: 1400 })).toEqual({
      ...{ name: 'net1', parent, kind: TUBE, attributes: { shape: 'round' } },
      ...{ mtu: 1400, mac: '02:00:00:00:00:aa' },
    });
  });

  it("takes the parent's MTU when none is asked for, and refuses one above it", () => {
    expect(plan({}).mtu).toBeUndefined();
    expect(plan({ mtu: 9000 }).mtu).toBe(9000);
    expect(() => plan({ mtu: 9001 })).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringMatching(/"mtu" 9001: parent "eth0" has 9000/) }),
    );
  });
});
