import { describe, expect, it } from 'vitest';
import { recordingEvents } from '../../../lib/controller/testing/recording.ts';
import type { KubeObject } from '../../../lib/kube/api.ts';
import { type IpPool, type IpReservation, poolObject } from '../cluster/objects.ts';
import { NETWORK_STATUS } from '../sweep/network-status.ts';
import { FakeWatch } from '../testing/fake-watch.ts';
import { type Report, type Round, runRound } from './round.ts';

const OLD = new Date(Date.now() - 3_600_000).toISOString();
const DONE: Report = { freed: 0, removed: 0, protected: 0, claimed: 0, contested: 0, failures: 0 };

/** `lab/a net1 c1` */
function entry(text: string): Readonly<Record<string, string>> {
  const [podref = '', ifname, id = ''] = text.split(' ');
  return { id, podref, ...(ifname === undefined || ifname === '-' ? {} : { ifname }) };
}

class Lab {
  readonly server = new FakeWatch();
  readonly lines: string[] = [];
  readonly told = recordingEvents();
  /** what happens between the two looks */
  between: () => void = () => undefined;
  slept: number[] = [];

  pool(name: string, range: string, entries: Readonly<Record<string, string>>): void {
    const allocations = Object.fromEntries(Object.entries(entries).map(([key, text]) => [key, entry(text)]));
    this.server.put('ippools', poolObject('kube-system', name, { range, allocations }));
  }

  held(name: string): Readonly<Record<string, object>> | undefined {
    return this.server.all<IpPool>('ippools').find(({ metadata }) => metadata.name === name)?.spec.allocations;
  }

  reservation(name: string, podref: string, created = OLD): void {
    const object: KubeObject & { spec: object } = {
      metadata: { name, namespace: 'kube-system', creationTimestamp: created },
      spec: { podref, ifname: 'net1' },
    };
    this.server.put('overlappingrangeipreservations', object);
  }

  reserved(): readonly string[] {
    return this.server
      .all<IpReservation>('overlappingrangeipreservations')
      .map(({ metadata, spec }) => `${metadata.name} ${spec.podref}`)
      .sort();
  }

  pod(
    name: string,
    ips: readonly string[] | undefined,
    more: { created?: string; phase?: string; uid?: string } = {},
  ): void {
    const { created = OLD, phase = 'Running', uid = `uid-${name}` } = more;
    const items = [{ name: 'lab/storage', interface: 'net1', ips }];
    const annotations = ips === undefined ? {} : { [NETWORK_STATUS]: JSON.stringify(items) };
    const object = {
      metadata: { name, namespace: 'lab', uid, creationTimestamp: created, annotations },
      status: { phase },
    };
    this.server.drop('pods', name);
    this.server.put('pods', object);
  }

  nad(ipam: object, name = 'storage'): void {
    const config = JSON.stringify({ name: 'n', type: 'macvlan', ipam: { type: 'whereabouts', ...ipam } });
    const object: KubeObject & { spec: object } = { metadata: { name, namespace: 'lab' }, spec: { config } };
    this.server.put('network-attachment-definitions', object);
  }

  run(more: Partial<Round> = {}): Promise<Report> {
    return runRound({
      api: this.server,
      events: this.told,
      graceMs: 300_000,
      pauseMs: 60_000,
      isEndEnough: false,
      flatFiles: [],
      nowMs: Date.now,
      looked: () => undefined,
      now: () => 0,
      sleep: async (ms) => {
        this.slept.push(ms);
        if (ms === 60_000) {
          this.between();
        }
      },
      log: (line) => this.lines.push(line),
      ...more,
    });
  }
}

describe('a round of the reconciler', () => {
  it('asks for nothing twice when all is well', async () => {
    const lab = new Lab();
    lab.nad({ range: '10.0.0.0/24' });
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1' });
    lab.reservation('10.0.0.5', 'lab/a');
    lab.pod('a', ['10.0.0.5']);
    expect(await lab.run()).toEqual(DONE);
    expect([lab.slept, lab.lines, lab.server.counted()]).toEqual([[], [], 'LIST 4']);
  });

  it('frees what pods had that are gone, with their reservations, also of named networks and IPv6', async () => {
    const lab = new Lab();
    lab.pool('blue-10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1', 6: 'lab/gone net1 c2', 7: 'lab/gone - c3' });
    lab.pool('blue-fd00---64', 'fd00::/64', { 0: 'lab/gone net1 c2', 5: 'lab/a net1 c1' });
    lab.pod('a', ['10.0.0.5', 'FD00:0::5']);
    for (const name of ['blue-10.0.0.6', 'blue-10.0.0.7', 'blue-fd00--0']) {
      lab.reservation(name, 'lab/gone');
    }
    lab.reservation('blue-10.0.0.5', 'lab/a');
    lab.reservation('blue-fd00--5', 'lab/a');
    expect(await lab.run()).toEqual({ ...DONE, freed: 3, removed: 3 });
    expect(Object.keys(lab.held('blue-10.0.0.0-24') ?? {})).toEqual(['5']);
    expect(Object.keys(lab.held('blue-fd00---64') ?? {})).toEqual(['5']);
    expect(lab.reserved()).toEqual(['blue-10.0.0.5 lab/a', 'blue-fd00--5 lab/a']);
    expect(lab.slept).toContain(60_000);
  });

  it('leaves what somebody has taken up again between the looks', async () => {
    const lab = new Lab();
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1', 6: 'lab/b net1 c2', 7: 'lab/c net1 c3' });
    lab.between = () => {
      lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c9', 6: 'lab/b net1 c2', 7: 'lab/c net1 c3' });
      lab.pod('b', undefined, { created: new Date().toISOString() });
    };
    expect(await lab.run()).toEqual({ ...DONE, freed: 1 });
    expect(Object.keys(lab.held('10.0.0.0-24') ?? {})).toEqual(['5', '6']);
  });

  it('never takes an address from a pod that is on its way, or of which nothing is known', async () => {
    const lab = new Lab();
    lab.pool('10.0.0.0-24', '10.0.0.0/24', {
      5: 'lab/young net1 c1',
      6: 'lab/mute net1 c2',
      7: 'lab/default net1 c3',
      8: ' net1 c4',
    });
    lab.pod('young', ['10.0.0.9'], { created: new Date().toISOString(), phase: 'Pending' });
    lab.pod('mute', undefined);
    lab.server.put('pods', {
      metadata: {
        name: 'default',
        namespace: 'lab',
        creationTimestamp: OLD,
        annotations: { [NETWORK_STATUS]: JSON.stringify([{ name: 'cbr0', default: true, ips: ['10.0.0.7'] }]) },
      },
    });
    expect(await lab.run()).toEqual(DONE);
  });

  it('frees what a pod has no more, and of two entries only the wrong one', async () => {
    const lab = new Lab();
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1', 6: 'lab/a net1 c1' });
    lab.pod('a', ['10.0.0.6']);
    expect(await lab.run()).toEqual({ ...DONE, freed: 1 });
    expect(Object.keys(lab.held('10.0.0.0-24') ?? {})).toEqual(['6']);
  });

  it.each([
    [false, 0],
    [true, 1],
  ])('with --free-ended %s frees %i addresses of pods that have ended', async (isEndEnough, freed) => {
    const lab = new Lab();
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1' });
    lab.pod('a', ['10.0.0.5'], { phase: 'Succeeded' });
    if (isEndEnough) {
      const { each } = lab.server; // the real one leaves such pods out of the list
      lab.server.each = async (path, selection, visit) =>
        selection.fieldSelector === undefined ? each.call(lab.server, path, selection, visit as never) : 'listed';
    }
    expect(await lab.run({ isEndEnough })).toEqual({ ...DONE, freed });
  });

  it('goes on with other pools when one cannot be changed, and when a pool was deleted meanwhile', async () => {
    const lab = new Lab();
    for (const name of ['10.0.0.0-24', '10.1.0.0-24', '10.2.0.0-24']) {
      lab.pool(name, name.replace('-', '/'), { 5: 'lab/gone net1 c1' });
    }
    lab.between = () => lab.server.drop('ippools', '10.2.0.0-24');
    lab.server.use({ mishap: ({ verb, name }) => (verb === 'PATCH' && name === '10.0.0.0-24' ? 500 : 'none') });
    expect(await lab.run()).toEqual({ ...DONE, freed: 1, failures: 1 });
    expect(lab.held('10.1.0.0-24')).toEqual({});
    expect(lab.lines).toContainEqual(
      expect.stringContaining('cannot clean pool "10.0.0.0-24": cannot free 1 addresses'),
    );
  });

  it('frees all the same when nobody knows what became of a patch, and when others write', async () => {
    const lab = new Lab();
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/gone net1 c1', 6: 'lab/gone net2 c1' });
    const mishaps = ['lost answer', 409] as const;
    let next = 0;
    lab.server.use({ mishap: ({ verb }) => (verb === 'PATCH' ? (mishaps[next++] ?? 'none') : 'none') });
    expect(await lab.run()).toEqual({ ...DONE, freed: 2 });
    expect(lab.held('10.0.0.0-24')).toEqual({});
  });

  it('does not free anything of a pod that cannot be asked for', async () => {
    const lab = new Lab();
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/gone net1 c1' });
    lab.reservation('10.0.0.5', 'lab/gone');
    lab.server.use({ mishap: ({ verb, plural }) => (verb === 'GET' && plural === 'pods' ? 500 : 'none') });
    expect(await lab.run()).toEqual({ ...DONE, failures: 1 });
    expect(lab.reserved()).toHaveLength(1);
  });

  it('removes a reservation without an entry only when its pod is gone, or old and has other addresses', async () => {
    const lab = new Lab();
    lab.reservation('10.0.0.5', 'lab/gone');
    lab.reservation('10.0.0.6', 'lab/attaching', new Date().toISOString());
    lab.reservation('10.0.0.7', 'lab/old');
    lab.pod('attaching', undefined);
    lab.pod('old', ['10.0.0.9']);
    expect(await lab.run()).toEqual({ ...DONE, removed: 2 });
    expect(lab.reserved()).toEqual(['10.0.0.6 lab/attaching']);
  });

  it('leaves a reservation that was claimed again between the looks', async () => {
    const lab = new Lab();
    lab.reservation('10.0.0.5', 'lab/gone');
    lab.between = () => lab.reservation('10.0.0.5', 'lab/gone');
    expect(await lab.run()).toEqual(DONE);
    expect(lab.reserved()).toHaveLength(1);
  });

  it('makes missing reservations of networks that keep their ranges apart, and of no others', async () => {
    const lab = new Lab();
    lab.nad({ range: '10.0.0.0/24', network_name: 'blue' });
    lab.nad({ range: '10.1.0.0/24', enable_overlapping_ranges: false }, 'other');
    lab.pool('blue-10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1' });
    lab.pool('10.1.0.0-24', '10.1.0.0/24', { 5: 'lab/a net2 c1' });
    lab.pod('a', ['10.0.0.5', '10.1.0.5']);
    expect(await lab.run()).toEqual({ ...DONE, protected: 1 });
    expect(lab.reserved()).toEqual(['blue-10.0.0.5 lab/a']);
    expect(await lab.run()).toEqual(DONE);
  });

  it('resolves a wedge for the pod that has the address, whose reservation it is not', async () => {
    const lab = new Lab();
    lab.nad({ range: '10.0.0.0/24' });
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1' });
    lab.pod('a', ['10.0.0.5']);
    lab.pod('b', ['10.0.0.9']);
    lab.pool('10.0.0.0-25', '10.0.0.0/25', { 9: 'lab/b net1 c2' });
    lab.reservation('10.0.0.9', 'lab/b');
    lab.reservation('10.0.0.5', 'lab/b');
    expect(await lab.run()).toMatchObject({ removed: 1, protected: 1 });
    expect(lab.reserved()).toEqual(['10.0.0.5 lab/a', '10.0.0.9 lab/b']);
  });

  it('resolves a wedge for the pod that has the address, whose entry it is not', async () => {
    const lab = new Lab();
    lab.nad({ range: '10.0.0.0/24' });
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1', 6: 'lab/a net1 c1' });
    lab.pod('a', ['10.0.0.6']);
    lab.pod('b', ['10.0.0.5']);
    lab.reservation('10.0.0.6', 'lab/a');
    lab.reservation('10.0.0.5', 'lab/b');
    await lab.run();
    await lab.run();
    expect(lab.held('10.0.0.0-24')).toEqual({
      5: { id: '', podref: 'lab/b', ifname: 'net1' },
      6: { id: 'c1', podref: 'lab/a', ifname: 'net1' },
    });
    expect(lab.reserved()).toEqual(['10.0.0.5 lab/b', '10.0.0.6 lab/a']);
  });

  it('claims what running pods have, in pools that are not there too', async () => {
    const lab = new Lab();
    lab.nad({ range: '10.0.0.0/24', exclude: ['10.0.0.8/32'] });
    lab.pod('a', ['10.0.0.5']);
    lab.pod('b', ['10.0.0.6']);
    lab.pod('ended', ['10.0.0.7'], { phase: 'Succeeded' });
    lab.pod('static', ['10.0.0.8', '192.0.2.1']);
    expect(await lab.run()).toEqual({ ...DONE, claimed: 2 });
    expect(lab.held('10.0.0.0-24')).toEqual({
      5: { id: '', podref: 'lab/a', ifname: 'net1' },
      6: { id: '', podref: 'lab/b', ifname: 'net1' },
    });
    expect(lab.reserved()).toEqual(['10.0.0.5 lab/a', '10.0.0.6 lab/b']);
  });

  it('tells of an address that two pods have, and changes nothing', async () => {
    const lab = new Lab();
    lab.nad({ range: '10.0.0.0/24' });
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/a net1 c1' });
    lab.reservation('10.0.0.5', 'lab/a');
    lab.pod('a', ['10.0.0.5']);
    lab.pod('b', ['10.0.0.5']);
    expect(await lab.run()).toEqual({ ...DONE, contested: 1 });
    expect(lab.told.events).toEqual([
      expect.objectContaining({
        reason: 'IPAddressConflict',
        message: '10.0.0.5 is reserved for pod "lab/a"',
        regarding: expect.objectContaining({ namespace: 'lab', name: 'b' }),
      }),
    ]);
    expect(Object.keys(lab.held('10.0.0.0-24') ?? {})).toEqual(['5']);
  });

  it('passes over pools and configurations that cannot be read, and says so', async () => {
    const lab = new Lab();
    lab.nad({ range: 'nonsense' });
    lab.pool('odd', 'nonsense', { 5: 'lab/gone net1 c1' });
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: 'lab/gone net1 c1', x: 'lab/gone net1 c1' });
    expect(await lab.run()).toEqual({ ...DONE, freed: 1 });
    expect(Object.keys(lab.held('10.0.0.0-24') ?? {})).toEqual(['x']);
    expect(lab.lines.slice(0, 2)).toEqual([
      expect.stringContaining('cannot use network "lab/storage"'),
      expect.stringContaining('passes over pool "odd"'),
    ]);
  });
});
