/** ipvlan and the Go plugin with the same input, on a kernel that has ipvlan. */
import { describe, expect, it } from 'vitest';
import { Lab } from '../../../lab/lab.ts';
import { GO, OURS } from '../../../lab/programs.ts';
import { SEED } from '../../../lab/random.ts';
import { stateOf } from '../../../lab/state.ts';
import { Comparing } from '../../../peers/peer-testing.ts';
import { DIFFERENCES as STATIC } from '../../static/differences.ts';
import { ipvlan } from '../bad.ts';
import { ipvlanCases } from '../cases.ts';
import { DIFFERENCES } from '../differences.ts';
import { randomIpvlanCases } from '../random.ts';

const comparing = new Comparing('ipvlan', DIFFERENCES, STATIC);

const PATIENT = { timeout: 900_000 }; // each waits for its turn too

comparing.cases('ipvlan does what the Go plugin does:', ipvlanCases(), PATIENT);
comparing.cases(`ipvlan does what the Go plugin does, at random (BRAID_SEED=${SEED}):`, randomIpvlanCases(), PATIENT);
comparing.meets(DIFFERENCES);

describe('ipvlan changing over with a pod running', () => {
  it.each([
    { from: OURS, to: GO },
    { from: GO, to: OURS },
  ])('from $from.name to $to.name: CHECK and DEL know what ADD made', async ({ from, to }) => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const before = await stateOf(pod.name);
    const conf = ipvlan({ mode: 'l3s' });
    const call = { plugin: 'ipvlan', netns: pod.path };
    const added = await lab.call({ ...call, verb: 'ADD', conf }, from);
    expect(added).toMatchObject({ exitCode: 0 });
    const later = { ...conf, prevResult: JSON.parse(added.stdout) };
    expect(await lab.call({ ...call, verb: 'CHECK', conf: later }, to)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await lab.call({ ...call, verb: 'DEL', conf: later }, to)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await stateOf(pod.name)).toEqual(before);
  });
});
