import { describe, expect, it } from 'vitest';
import { formatIp } from '../../lib/net/ip.ts';
import { findHeld, planCollection, planRelease, planReservation } from './plan.ts';
import type { Held, Pools } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';
import { entry, ip, owner, poolsWith, rangesOf } from './testing/fixtures.ts';

const [NOBODY, OTHER] = [poolsWith({}), 'x/other net1 idX'];

function plan(who: string, ranges: readonly ConfiguredRange[], state: Pools = NOBODY, protectOverlaps = true) {
  const { answer, changes } = planReservation({ owner: owner(who), ranges, protectOverlaps }, state);
  return {
    ips: answer.map(formatIp),
    changes: changes.map((c) => `${c.op} ${formatIp(c.ip)} of ${c.range}`),
    raw: changes,
  };
}

const give = (...args: Parameters<typeof plan>) => plan(...args).ips;

const texts = (held: readonly Held[]) => held.map(({ ip }) => formatIp(ip));

describe('planReservation', () => {
  it.each([
    [{ range: '192.168.1.0/24', exclude: ['192.168.1.0/28', '192.168.1.16/28'] }, '192.168.1.32'],
    [{ range: '192.168.1.44/28' }, '192.168.1.33'],
    [{ range: 'fd00::/64', exclude: ['fd00::/65'] }, 'fd00::8000:0:0:0'],
  ])('gives the lowest free address of %o', (keys, expected) => {
    expect(give('a/b net1 id', rangesOf(keys))).toEqual([expected]);
  });

  it('gives an address that ends in .0 when it is not the network address', () => {
    const taken = Object.fromEntries(Array.from({ length: 255 }, (_, i) => [String(i + 1), OTHER]));
    expect(give('a/b net1 id', rangesOf('10.10.0.0/16'), poolsWith({ '10.10.0.0/16': taken }))).toEqual(['10.10.1.0']);
  });

  it('tells window, range and exclusions when a range is exhausted', () => {
    const state = poolsWith({ '198.51.100.0/30': { '1': OTHER } });
    expect(give('a/b net1 id', rangesOf('198.51.100.0/30'), state)).toEqual(['198.51.100.2']);
    expect(() =>
      give('a/b net1 id', rangesOf({ range: '198.51.100.0/30', exclude: ['198.51.100.2', '10.0.0.0/8'] }), state),
    ).toThrow(
      expect.objectContaining({
        code: 999,
        message:
          'Could not allocate IP in range: ip: 198.51.100.1 / - 198.51.100.2 / range: 198.51.100.0/30 / ' +
          'excludeRanges: [198.51.100.2 10.0.0.0/8]: held by x/other net1; ' +
          '"braid ipam show 198.51.100.0/30 --json" lists them, "braid ipam check" finds leaks',
      }),
    );
  });

  it.each([
    [4, '- net9 c1', /: held by x\/p0 net1, x\/p1 net1, x\/p2 net1, 3 more; "braid ipam show/],
    [0, '', /: all of it is excluded$/],
  ])('names few of those who hold an exhausted range, %i pods among them', (pods, nobodys, holders) => {
    const held = Array.from({ length: pods }, (_, i) => [String(i + 1), `x/p${i} net1 p${i}`]);
    const others =
      nobodys === ''
        ? []
        : [
            ['5', nobodys],
            ['6', nobodys],
          ];
    const state = poolsWith({ '10.0.0.0/29': Object.fromEntries([...held, ...others]) });
    const range = pods === 0 ? { range: '10.0.0.0/29', exclude: ['10.0.0.0/24'] } : '10.0.0.0/29';
    expect(() => give('a/b net1 id', rangesOf(range), state)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(holders) }),
    );
  });

  it('gives a pod the address it has for the interface, and brings the container id up to date', () => {
    const state = poolsWith({ '10.0.0.0/24': { '7': 'a/b net1 old', '8': 'a/b net2 old' } });
    const { ips, raw } = plan('a/b net1 new', rangesOf('10.0.0.0/24'), state);
    expect(ips).toEqual(['10.0.0.7']);
    expect(raw).toEqual([
      {
        op: 'replace',
        range: '10.0.0.0/24',
        ip: ip('10.0.0.7'),
        entry: entry('a/b net1 new'),
        before: entry('a/b net1 old'),
      },
    ]);
    expect(plan('a/b net1 old', rangesOf('10.0.0.0/24'), state)).toMatchObject({ ips: ['10.0.0.7'], changes: [] });
  });

  it('gives it again even where the window or an exclusion now speaks against it', () => {
    const state = poolsWith({ '10.0.0.0/24': { '7': 'a/b net1 id' } });
    const range = { range: '10.0.0.0/24', range_start: '10.0.0.20', exclude: ['10.0.0.7'] };
    expect(give('a/b net1 id', rangesOf(range), state)).toEqual(['10.0.0.7']);
  });

  it('knows a caller without a pod by container id and interface', () => {
    const state = poolsWith({ '10.0.0.0/24': { '1': '- net1 idA', '2': '- net2 idB', '3': 'a/b net1 idC' } });
    expect(give('- net1 idA', rangesOf('10.0.0.0/24'), state)).toEqual(['10.0.0.1']);
    expect(give('- net1 idB', rangesOf('10.0.0.0/24'), state)).toEqual(['10.0.0.4']);
  });

  it('never takes an entry without a pod for one of every caller without a pod', () => {
    const state = poolsWith({ '10.0.0.0/24': { '1': '- net1 idA' } });
    expect(give('a/b net1 idB', rangesOf('10.0.0.0/24'), state)).toEqual(['10.0.0.2']);
  });

  it('gives one address of every range, in their order, as one set of changes', () => {
    const { ips, changes } = plan('a/b net1 id', rangesOf('fd00::/64', '10.0.0.0/24'));
    expect(ips).toEqual(['fd00::1', '10.0.0.1']);
    expect(changes).toEqual(['add fd00::1 of fd00::/64', 'add 10.0.0.1 of 10.0.0.0/24']);
  });

  it('gives two addresses when a range is configured twice, and the same two again', () => {
    const ranges = rangesOf(
      { range: '10.0.0.0/24', range_start: '10.0.0.30', range_end: '10.0.0.40' },
      { range: '10.0.0.0/24' },
      { range: '10.0.0.0/24' },
    );
    expect(give('a/b net1 id', ranges)).toEqual(['10.0.0.30', '10.0.0.1', '10.0.0.2']);
    const state = poolsWith({ '10.0.0.0/24': { '1': 'a/b net1 id', '2': 'a/b net1 id', '30': 'a/b net1 id' } });
    expect(plan('a/b net1 id', ranges, state)).toMatchObject({
      ips: ['10.0.0.30', '10.0.0.1', '10.0.0.2'],
      changes: [],
    });
  });

  it('gives nothing at all when the second range is full', () => {
    expect(() =>
      plan(
        'a/b net1 id',
        rangesOf('10.0.0.0/24', '10.1.0.0/30'),
        poolsWith({ '10.1.0.0/30': { '1': OTHER, '2': OTHER } }),
      ),
    ).toThrow('Could not allocate IP in range: ip: 10.1.0.1');
  });
});

describe('planReservation with overlapping ranges', () => {
  const state = poolsWith({ '10.0.0.0/16': { '257': OTHER, '258': OTHER }, '10.0.0.0/8': { '259': OTHER } });

  it('passes over what a wider or a narrower range holds', () => {
    expect(give('a/b net1 id', rangesOf('10.0.1.0/24'), state)).toEqual(['10.0.1.4']);
    expect(give('a/b net1 id', rangesOf('10.0.1.0/24'), poolsWith({ '10.0.1.0/25': { '1': OTHER } }))).toEqual([
      '10.0.1.2',
    ]);
  });

  it('does not when the protection is off', () => {
    expect(give('a/b net1 id', rangesOf('10.0.1.0/24'), state, false)).toEqual(['10.0.1.1']);
  });

  it('gives two interfaces of one pod different addresses (D3)', () => {
    const held = poolsWith({ '10.0.0.0/16': { '257': 'a/b net1 id' } });
    expect(give('a/b net2 id', rangesOf('10.0.1.0/24'), held)).toEqual(['10.0.1.2']);
  });

  it.each([true, false])('gives one call different addresses of ranges that overlap (protection %s)', (protect) => {
    expect(give('a/b net1 id', rangesOf('10.0.0.0/24', '10.0.0.0/16', '10.0.0.0/8'), NOBODY, protect)).toEqual([
      '10.0.0.1',
      '10.0.0.2',
      '10.0.0.3',
    ]);
  });

  it('protects every range of the call, whatever the one before found (D4)', () => {
    const held = poolsWith({ '10.0.0.0/24': { '5': 'a/b net1 old' }, '10.1.0.0/16': { '1': OTHER } });
    expect(give('a/b net1 id', rangesOf('10.0.0.0/24', '10.1.0.0/24'), held)).toEqual(['10.0.0.5', '10.1.0.2']);
  });

  it('moves an entry whose address somebody else holds in another range, rather than wedge the pod (D2)', () => {
    const held = poolsWith({ '10.0.0.0/24': { '5': 'a/b net1 id' }, '10.0.0.0/16': { '5': OTHER, '1': OTHER } });
    expect(plan('a/b net1 id', rangesOf('10.0.0.0/24'), held)).toMatchObject({
      ips: ['10.0.0.2'],
      changes: ['remove 10.0.0.5 of 10.0.0.0/24', 'add 10.0.0.2 of 10.0.0.0/24'],
    });
    expect(give('a/b net1 id', rangesOf('10.0.0.0/24'), held, false)).toEqual(['10.0.0.5']);
  });

  it('leaves an address alone that the same owner holds in both ranges', () => {
    const held = poolsWith({ '10.0.0.0/24': { '5': 'a/b net1 id' }, '10.0.0.0/16': { '5': 'a/b net1 id' } });
    expect(plan('a/b net1 id', rangesOf('10.0.0.0/24'), held)).toMatchObject({ ips: ['10.0.0.5'], changes: [] });
  });
});

describe('planRelease', () => {
  const release = (text: string, state: Pools) => {
    const [id = '', ifname = ''] = text.split(' ');
    return texts(planRelease({ id, ifname }, state).answer);
  };
  const state = poolsWith({
    '10.0.0.0/24': { '1': 'a/b net1 idA', '2': 'a/b net2 idA', '3': 'a/b net1 idB' },
    'fd00::/64': { '1': 'a/b net1 idA', '9': '- net1 idC' },
  });

  it('frees all of the attachment in every range, and nobody else', () => {
    expect(release('idA net1', state)).toEqual(['10.0.0.1', 'fd00::1']);
  });

  it('visits later ranges when an earlier one holds nothing (D5)', () => {
    expect(release('idC net1', state)).toEqual(['fd00::9']);
  });

  it('frees nothing of a pod whose entry has gone to a newer container', () => {
    expect(release('idOld net1', state)).toEqual([]);
  });

  it('frees entries without interface only when none with it matches', () => {
    const old: Pools = poolsWith({
      '10.0.0.0/24': { '1': '-  idA', '2': '- net1 idA' },
      '10.1.0.0/24': { '1': '-  idB' },
    });
    expect(release('idA net1', old)).toEqual(['10.0.0.2']);
    expect(release('idA net2', old)).toEqual(['10.0.0.1']);
    expect(release('idB net7', old)).toEqual(['10.1.0.1']);
  });
});

describe('findHeld', () => {
  const find = (text: string, ranges: readonly ConfiguredRange[], state: Pools) => {
    const [id = '', ifname = ''] = text.split(' ');
    return findHeld({ id, ifname }, ranges, state).map((found) => found && formatIp(found));
  };

  it('finds one address for each range, a different one for each', () => {
    const state = poolsWith({
      '10.0.0.0/24': { '1': 'a/b net1 id', '2': 'a/b net1 id' },
      'fd00::/64': { '5': 'a/b net1 id2' },
    });
    expect(find('id net1', rangesOf('10.0.0.0/24', 'fd00::/64', '10.0.0.0/24', '10.0.0.0/24'), state)).toEqual([
      '10.0.0.1',
      undefined,
      '10.0.0.2',
      undefined,
    ]);
  });
});

describe('planCollection', () => {
  const collect = (valid: readonly string[], state: Pools, network = 'net-a', ranges = rangesOf('10.0.0.0/24')) =>
    texts(
      planCollection(
        network,
        ranges,
        valid.map((text) => owner(`- ${text}`)),
        state,
      ).answer,
    );
  const state = poolsWith({
    '10.0.0.0/24': { '1': 'a/b net1 idA', '2': 'a/b net2 idA', '3': 'a/c net1 idB', '4': '-  idA', '5': '-  idB' },
    '10.1.0.0/24': { '1': 'a/d net1 idD' },
  });

  it('frees what is not valid, in the ranges of the call', () => {
    expect(collect(['net1 idA'], state)).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.5']);
    expect(collect([], state)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5']);
  });

  it('visits a range once that is configured twice', () => {
    expect(collect(['net1 idA'], state, 'net-a', rangesOf('10.0.0.0/24', '10.0.0.0/24'))).toHaveLength(3);
  });

  it('leaves the entries of other configurations that share the range', () => {
    expect(collect([], state, 'net-b')).toEqual([]);
  });
});
