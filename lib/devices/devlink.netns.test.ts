import { describe, expect, it } from 'vitest';
import { Lab } from '../testing/lab.ts';
import { Devlink } from './devlink.ts';

describe('devlink of this kernel', () => {
  it('answers, or is not there: a namespace of tests has no card', async () => {
    using lab = new Lab();
    using netns = lab.open(lab.node);
    const facts = await new Devlink(netns.genericNetlink, '/sys').read('all', new Set(['rdma', 'ddp']));
    expect([...facts.eswitchModes.keys(), ...facts.rdmaEnabled, ...facts.ddpProfiles.keys()]).toEqual([]);
  });
});
